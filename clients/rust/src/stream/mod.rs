//! Streams of items to a service, with a reply to each: filled into messages, no faster than the service takes them, and
//! gone on with when the connection was lost.
//!
//! # Layout
//! - [`items`]: what can be sent. `window`: what was sent and has no reply yet. `feed`: the sending half. `receive`: the other,
//!   which opens the stream again.

use std::future::Future;

use graft_proto::v1::ItemError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use self::items::Item;
use crate::{Error, Service};

mod feed;
pub mod items;
mod receive;
#[cfg(test)]
mod tests;
mod window;

pub use receive::Replies;
pub(crate) use receive::exchange;

/// Of an item, the replies that it has if nothing is wrong with it, 1 to 32.
pub(crate) type Parts<T> = Box<dyn Fn(&T) -> u32 + Send>;

/// A kind of stream. Making an item again must come to the same, since what has no reply is sent again when the connection was
/// lost.
pub(crate) trait Exchange: Send + 'static {
    /// What is sent.
    type Item: Item;
    /// A message to the service.
    type Request: Send + 'static;
    /// A message from it.
    type Response: Send + 'static;
    /// What came of an item, or of a part of it.
    type Reply: Send + 'static;
    /// What the service says first.
    type Opened: Send;

    /// Items in a message, at the most.
    const MOST: usize;

    /// The first message, which says what is to be done with the items.
    fn first(&self) -> Self::Request;

    /// A message of items.
    fn wrap(items: Vec<Self::Item>) -> Self::Request;

    /// How many replies items have.
    fn parts(&self) -> Parts<Self::Item> {
        Box::new(|_| 1)
    }

    /// Begin, or begin again.
    fn open(
        &mut self,
        service: &Service,
        messages: ReceiverStream<Self::Request>,
    ) -> impl Future<Output = Result<(Self::Opened, Streaming<Self::Response>), Error>> + Send;

    /// The replies in a message.
    fn read(&self, service: &Service, message: Self::Response) -> Result<Vec<Self::Reply>, Error>;

    /// Which item a reply is to, and which part of it; none for the whole.
    fn answers(reply: &Self::Reply) -> (&str, Option<u32>);

    /// The reply to an item that was not sent.
    fn refuse(id: String, error: ItemError) -> Self::Reply;
}
