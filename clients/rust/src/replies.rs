//! The incoming half of a stream: messages become replies, and a stream that ends too early is an error.

use std::collections::VecDeque;

use futures::{StreamExt, stream, stream::BoxStream};
use graft_proto::v1::ItemError;
use tonic::{Code, Streaming};

use crate::{
    Error, Service,
    outbound::{Sending, TooLarge},
};

/// One reply for each item, in any order. After an error nothing more comes. Dropping it ends the call.
pub type Replies<T> = BoxStream<'static, Result<T, Error>>;

/// How messages become replies.
pub trait Read: Send + 'static {
    /// A message of the service.
    type Message: Send + 'static;
    /// A reply to one item.
    type Reply: Send + 'static;

    /// The replies of a message.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn read(&mut self, message: Self::Message) -> Result<Vec<Self::Reply>, Error>;

    /// The reply to an item that was not sent.
    fn refuse(&self, id: String, error: ItemError) -> Self::Reply;
}

struct Receiving<R: Read> {
    service: Service,
    inbound: Streaming<R::Message>,
    sending: Sending,
    reader: R,
    /// Read, but not given out yet: those of one message at the most.
    replies: VecDeque<R::Reply>,
    answered: u64,
}

/// The replies that `inbound` brings to what `sending` sends.
pub fn replies<R: Read>(
    service: &Service,
    inbound: Streaming<R::Message>,
    sending: Sending,
    reader: R,
) -> Replies<R::Reply> {
    let receiving =
        Receiving { service: service.clone(), inbound, sending, reader, replies: VecDeque::new(), answered: 0 };
    stream::try_unfold(receiving, async |mut receiving| Ok(receiving.next().await?.map(|reply| (reply, receiving))))
        .boxed()
}

impl<R: Read> Receiving<R> {
    async fn next(&mut self) -> Result<Option<R::Reply>, Error> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Ok(Some(reply));
            }
            tokio::select! {
                Some(item) = self.sending.too_large.recv() => return Ok(Some(self.refuse(item))),
                message = self.inbound.message() => match message.map_err(|status| self.service.error(status))? {
                    Some(message) => self.take(message)?,
                    None => return self.end(),
                },
            }
        }
    }

    fn take(&mut self, message: R::Message) -> Result<(), Error> {
        let replies = self.reader.read(message)?;
        self.answered += replies.len() as u64;
        self.replies.extend(replies);
        Ok(())
    }

    /// The service has said its last: what is left are the items that it never saw.
    fn end(&mut self) -> Result<Option<R::Reply>, Error> {
        match self.sending.too_large.try_recv() {
            Ok(item) => Ok(Some(self.refuse(item))),
            Err(_) if self.sending.sent.is(self.answered) => Ok(None),
            Err(_) => Err(self.service.incomplete()),
        }
    }

    fn refuse(&self, item: TooLarge) -> R::Reply {
        let error = ItemError { code: Code::InvalidArgument as i32, field: "image".into(), message: item.message() };
        self.reader.refuse(item.id, error)
    }
}
