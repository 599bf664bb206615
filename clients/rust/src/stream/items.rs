//! What can be sent.

use graft_proto::v1::{ClassifyItem, Example, ExtractItem};
use prost::Message;

use crate::connect::MESSAGE_BYTES;

/// The largest item: one that fits a message, with room for what is around it.
const MOST_BYTES: usize = MESSAGE_BYTES - 64;
/// The longest id, in bytes.
const ID_BYTES: usize = 256;

/// An item with an id of the caller's. Copies share the bytes of its image.
pub trait Item: Message + Clone + Send + 'static {
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

/// An item that is not sent, since no service would take it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsendable {
    /// The caller's id.
    pub id: String,
    /// The part of it that is wrong.
    pub field: &'static str,
    /// What is wrong, and what is accepted.
    pub message: String,
}

impl Unsendable {
    /// What is wrong with an item of so many bytes, if something is. An id that is too long would be told back shortened,
    /// and nobody would know it.
    pub fn check(item: &impl Item, bytes: usize) -> Option<Unsendable> {
        let id = item.id();
        let (field, message) = match id.len() {
            1..=ID_BYTES if bytes <= MOST_BYTES => return None,
            1..=ID_BYTES => ("image", format!("{bytes} bytes; an item of at most {MOST_BYTES} bytes fits a message")),
            length => ("id", format!("{length} bytes; 1 to {ID_BYTES} bytes are accepted")),
        };
        Some(Unsendable { id: id.to_owned(), field, message })
    }
}
