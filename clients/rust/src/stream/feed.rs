//! The sending half: items become messages that are full but not too full, and no more of them are read than the service takes.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use futures::{FutureExt, Stream, StreamExt};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Exchange, Parts,
    items::{Item, Unsendable},
    window::Window,
};

/// Bytes of items beyond which a message is full. An item that is larger has a message of its own.
const CHUNK_BYTES: usize = 1 << 20;
/// Messages that wait to be sent.
const MESSAGES: usize = 4;

/// Where items come from. It outlives the connection.
pub struct Source<T> {
    /// Those that were sent on a connection that was lost.
    again: VecDeque<T>,
    items: Pin<Box<dyn Stream<Item = T> + Send>>,
    parts: Parts<T>,
    window: Arc<Window<T>>,
}

impl<T: Item> Source<T> {
    pub fn new(items: impl Stream<Item = T> + Send + 'static, parts: Parts<T>, window: Arc<Window<T>>) -> Source<T> {
        Source { again: VecDeque::new(), items: Box::pin(items.fuse()), parts, window }
    }

    /// The next item and its size. Whenever this is broken off, what was read is in the window.
    async fn next(&mut self) -> Option<(T, usize)> {
        if let Some(item) = self.again.pop_front() {
            let bytes = item.encoded_len();
            return Some((item, bytes));
        }
        loop {
            self.window.room().await;
            let Some(item) = self.items.next().await else {
                self.window.end();
                return None;
            };
            let bytes = item.encoded_len();
            if let Some(unsendable) = Unsendable::check(&item, bytes) {
                self.window.refuse(unsendable);
                continue;
            }
            self.window.keep(&item, bytes, (self.parts)(&item));
            return Some((item, bytes));
        }
    }
}

/// The sending on one connection. Dropping it ends it.
pub struct Sending {
    _task: JoinSet<()>,
}

/// Send the first message of `exchange`, then what was sent before and has no reply, and then what `source` has.
pub fn send<E: Exchange>(exchange: &E, source: Arc<Mutex<Source<E::Item>>>) -> (ReceiverStream<E::Request>, Sending) {
    let (messages, receiver) = mpsc::channel(MESSAGES);
    let first = exchange.first();
    let mut task = JoinSet::new();
    task.spawn(async move {
        // When the call is over nothing more is wanted, and it says why itself.
        if messages.send(first).await.is_err() {
            return;
        }
        // Whoever sent on the connection before lets go of the source when it is gone; only then is it known what is left.
        let mut source = source.lock().await;
        if let Some(left) = source.window.left() {
            source.again = left.into();
            let _ = feed::<E>(&mut source, &messages).await;
        }
    });
    (ReceiverStream::new(receiver), Sending { _task: task })
}

/// Nobody listens any more.
struct Over;

async fn feed<E: Exchange>(source: &mut Source<E::Item>, messages: &mpsc::Sender<E::Request>) -> Result<(), Over> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    loop {
        // A message that is not full waits for nobody: the next item may be long in coming.
        let next = match source.next().now_or_never() {
            Some(next) => next,
            None => {
                flush::<E>(messages, &mut chunk, &mut bytes).await?;
                source.next().await
            }
        };
        let Some((item, size)) = next else { break };
        if bytes + size > CHUNK_BYTES {
            flush::<E>(messages, &mut chunk, &mut bytes).await?;
        }
        chunk.push(item);
        bytes += size;
        if chunk.len() >= E::MOST {
            flush::<E>(messages, &mut chunk, &mut bytes).await?;
        }
    }
    flush::<E>(messages, &mut chunk, &mut bytes).await
}

async fn flush<E: Exchange>(
    messages: &mpsc::Sender<E::Request>,
    chunk: &mut Vec<E::Item>,
    bytes: &mut usize,
) -> Result<(), Over> {
    if chunk.is_empty() {
        return Ok(());
    }
    *bytes = 0;
    messages.send(E::wrap(std::mem::take(chunk))).await.map_err(|_| Over)
}
