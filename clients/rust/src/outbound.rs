//! The outgoing half of a stream: items become messages that are full but not too full, and no more of them are read than
//! the service takes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures::{FutureExt, Stream, StreamExt};
use graft_proto::v1::{ClassifyItem, Example, ExtractItem};
use prost::Message;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;

use crate::connect::MESSAGE_BYTES;

/// Items in one message, at the most.
pub const CHUNK: usize = 64;
/// Bytes of items beyond which a message is full. An item that is larger has a message of its own.
const CHUNK_BYTES: usize = 1 << 20;
/// The largest item: one that fits a message, with room for what is around it.
const MOST_BYTES: usize = MESSAGE_BYTES - 64;
/// Messages that wait to be sent.
const MESSAGES: usize = 4;
/// Items that were too large, and whose replies have not been read.
const TOO_LARGE: usize = 16;

/// An item with an id of the caller's.
pub trait Item: Message + Send + 'static {
    /// The caller's id.
    fn id(&self) -> &str;
}

macro_rules! items {
    ($($item:ty),*) => {
        $(impl Item for $item {
            fn id(&self) -> &str {
                &self.id
            }
        })*
    };
}

items!(Example, ExtractItem, ClassifyItem);

/// An item that no message can hold.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The caller's id.
    pub id: String,
    /// Its size, in bytes.
    pub bytes: usize,
}

impl TooLarge {
    /// What is wrong, and what is accepted.
    pub fn message(&self) -> String {
        format!("{} bytes; an item of at most {MOST_BYTES} bytes fits a message", self.bytes)
    }
}

/// How far the sending is.
#[derive(Debug, Default)]
pub struct Sent {
    items: AtomicU64,
    all: AtomicBool,
}

impl Sent {
    /// Whether everything was sent, and that was `answered` items.
    pub fn is(&self, answered: u64) -> bool {
        self.all.load(Ordering::Acquire) && self.items.load(Ordering::Acquire) == answered
    }
}

/// What the replying half must know of the sending one. Dropping it ends the sending.
pub struct Sending {
    /// How far it is.
    pub sent: Arc<Sent>,
    /// Items that were not sent.
    pub too_large: mpsc::Receiver<TooLarge>,
    _task: JoinSet<()>,
}

/// Send `first`, and then `items`, of which `wrap` makes messages of `most` items or fewer.
pub fn send<T: Item, M: Send + 'static>(
    first: M,
    items: impl Stream<Item = T> + Send + 'static,
    most: usize,
    wrap: fn(Vec<T>) -> M,
) -> (ReceiverStream<M>, Sending) {
    let (messages, receiver) = mpsc::channel(MESSAGES);
    let (refuse, too_large) = mpsc::channel(TOO_LARGE);
    let sent = Arc::new(Sent::default());
    let feed = Feed { messages, refuse, sent: sent.clone(), most, wrap };
    let mut task = JoinSet::new();
    task.spawn(async move {
        // When the call is over nothing more is wanted, and it says why itself.
        if feed.messages.send(first).await.is_ok() {
            let _ = feed.run(items).await;
        }
    });
    (ReceiverStream::new(receiver), Sending { sent, too_large, _task: task })
}

struct Feed<T, M> {
    messages: mpsc::Sender<M>,
    refuse: mpsc::Sender<TooLarge>,
    sent: Arc<Sent>,
    most: usize,
    wrap: fn(Vec<T>) -> M,
}

/// Nobody listens any more.
struct Over;

impl<T: Item, M> Feed<T, M> {
    async fn run(self, items: impl Stream<Item = T>) -> Result<(), Over> {
        let mut items = std::pin::pin!(items.fuse());
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        loop {
            // A message that is not full waits for nobody: the next item may be long in coming.
            let next = match items.next().now_or_never() {
                Some(next) => next,
                None => {
                    self.flush(&mut chunk, &mut bytes).await?;
                    items.next().await
                }
            };
            let Some(item) = next else { break };
            let size = item.encoded_len();
            if size > MOST_BYTES {
                let refused = TooLarge { id: item.id().to_owned(), bytes: size };
                self.refuse.send(refused).await.map_err(|_| Over)?;
                continue;
            }
            if bytes + size > CHUNK_BYTES {
                self.flush(&mut chunk, &mut bytes).await?;
            }
            chunk.push(item);
            bytes += size;
            if chunk.len() >= self.most {
                self.flush(&mut chunk, &mut bytes).await?;
            }
        }
        self.flush(&mut chunk, &mut bytes).await?;
        self.sent.all.store(true, Ordering::Release);
        Ok(())
    }

    async fn flush(&self, chunk: &mut Vec<T>, bytes: &mut usize) -> Result<(), Over> {
        if chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(chunk);
        *bytes = 0;
        self.sent.items.fetch_add(chunk.len() as u64, Ordering::AcqRel);
        self.messages.send((self.wrap)(chunk)).await.map_err(|_| Over)
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::{Image, image::Source};

    use super::*;

    fn item(id: usize, bytes: usize) -> ExtractItem {
        let image = Image { source: Some(Source::Encoded(vec![0; bytes].into())) };
        ExtractItem { id: id.to_string(), image: Some(image), without_views: false }
    }

    fn items(sizes: Vec<usize>) -> impl Stream<Item = ExtractItem> + Send + 'static {
        futures::stream::iter(sizes.into_iter().enumerate().map(|(id, bytes)| item(id, bytes)))
    }

    async fn chunks(sizes: Vec<usize>) -> (Vec<Vec<ExtractItem>>, Sending) {
        let (messages, sending) = send(Vec::new(), items(sizes), CHUNK, |items| items);
        let mut messages: Vec<_> = messages.collect().await;
        assert!(messages.remove(0).is_empty(), "the first message comes first");
        (messages, sending)
    }

    #[tokio::test]
    async fn messages_are_full_but_never_larger_than_the_services_take() {
        // 63 small items and then the largest image that is accepted: together they would be too large.
        let sizes = (0..130).map(|_| 16_000).chain([16 << 20, 5, 6]).collect();
        let (messages, sending) = chunks(sizes).await;
        let counts: Vec<usize> = messages.iter().map(Vec::len).collect();
        assert_eq!(counts, [64, 64, 2, 1, 2]);
        for message in &messages {
            assert!(message.iter().map(Message::encoded_len).sum::<usize>() + 64 * 8 < MESSAGE_BYTES);
        }
        let ids = messages.iter().flatten().map(|item| item.id.clone());
        assert!(ids.eq((0..133).map(|id| id.to_string())), "nothing is lost, doubled or out of order");
        assert!(sending.sent.is(133) && !sending.sent.is(132));
    }

    #[tokio::test]
    async fn bytes_fill_a_message_before_the_count_does() {
        let counts: Vec<usize> = chunks(vec![400_000; 5]).await.0.iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 2, 1]);
    }

    #[tokio::test]
    async fn an_item_that_fits_no_message_is_answered_and_the_rest_goes_on() {
        let (messages, mut sending) = chunks(vec![1, 17 << 20, 2]).await;
        assert_eq!(messages.iter().flatten().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["0", "2"]);
        let refused = sending.too_large.recv().await.unwrap();
        assert!(refused.id == "1" && refused.bytes > 17 << 20 && refused.message().contains("at most"));
        assert!(sending.sent.is(2));
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_service_takes() {
        let read = Arc::new(AtomicU64::new(0));
        let counter = read.clone();
        let endless = futures::stream::iter(0..).map(move |id| {
            counter.fetch_add(1, Ordering::Relaxed);
            item(id, 10)
        });
        let (messages, sending) = send(Vec::new(), endless, CHUNK, |items| items);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let most = ((MESSAGES + 2) * CHUNK) as u64;
        assert!((1..=most).contains(&read.load(Ordering::Relaxed)), "{read:?}");
        drop((messages, sending));
    }

    #[tokio::test]
    async fn an_item_does_not_wait_for_the_next() {
        let (items, receiver) = mpsc::channel(1);
        let (mut messages, _sending) = send(Vec::new(), ReceiverStream::new(receiver), CHUNK, |items| items);
        messages.next().await.unwrap();
        items.send(item(1, 1)).await.unwrap();
        let message = tokio::time::timeout(std::time::Duration::from_secs(5), messages.next()).await;
        assert_eq!(message.unwrap().unwrap().len(), 1);
    }
}
