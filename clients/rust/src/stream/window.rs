//! What was sent and has no reply yet: no more than fits the window, and all of it is sent again when the connection was lost.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::items::{Item, Unsendable};

/// Items without a reply, at the most, and their bytes. The trainer writes 4096 examples at once, and says so then.
const ITEMS: usize = 8192;
const BYTES: usize = 128 << 20;
/// Items that were not sent, and whose replies have not been read.
const UNSENT: usize = 16;

/// What was sent and has no reply yet.
#[derive(Debug)]
pub struct Window<T> {
    state: Mutex<State<T>>,
    /// Something was answered.
    room: Notify,
    /// Something was not sent.
    refusal: Notify,
}

#[derive(Debug)]
struct State<T> {
    kept: HashMap<String, Kept<T>>,
    bytes: usize,
    /// Items so far.
    count: u64,
    /// Two items had one id at the same time: which of them a reply is to cannot be told.
    ambiguous: bool,
    refused: VecDeque<Unsendable>,
    /// There are no more items.
    all: bool,
}

#[derive(Debug)]
struct Kept<T> {
    item: T,
    bytes: usize,
    /// Its place among all items.
    number: u64,
    /// A bit for each part that has no reply yet.
    parts: u32,
    /// How many items of this id there are.
    copies: u32,
}

impl<T: Item> Window<T> {
    pub fn new() -> Window<T> {
        let state =
            State { kept: HashMap::new(), bytes: 0, count: 0, ambiguous: false, refused: VecDeque::new(), all: false };
        Window { state: Mutex::new(state), room: Notify::new(), refusal: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait until there is room for another item.
    pub async fn room(&self) {
        loop {
            let told = self.room.notified();
            let there = {
                let state = self.state();
                state.kept.len() < ITEMS && state.bytes < BYTES && state.refused.len() < UNSENT
            };
            if there {
                return;
            }
            told.await;
        }
    }

    /// Keep an item of so many bytes and parts.
    pub fn keep(&self, item: &T, bytes: usize, parts: u32) {
        let mut state = self.state();
        let number = state.count;
        state.count += 1;
        state.bytes += bytes;
        let parts = 1u32.checked_shl(parts).map_or(u32::MAX, |bit| bit - 1);
        if let Some(kept) = state.kept.get_mut(item.id()) {
            kept.bytes += bytes;
            kept.copies += 1;
            state.ambiguous = true;
        } else {
            let kept = Kept { item: item.clone(), bytes, number, parts, copies: 1 };
            state.kept.insert(item.id().to_owned(), kept);
        }
    }

    /// A reply has come. Whether it is news: not one that came before the connection was lost.
    pub fn answered(&self, id: &str, part: Option<u32>) -> bool {
        let mut state = self.state();
        let ambiguous = state.ambiguous;
        let Some(kept) = state.kept.get_mut(id) else { return false };
        let bit = part.map_or(u32::MAX, |part| 1u32.checked_shl(part).unwrap_or(0));
        let news = kept.parts & bit != 0 || ambiguous;
        kept.parts &= !bit;
        if kept.copies > 1 {
            kept.copies -= 1;
        } else if kept.parts == 0 {
            let bytes = kept.bytes;
            state.bytes -= bytes;
            state.kept.remove(id);
        }
        drop(state);
        self.room.notify_one();
        news
    }

    /// Say that an item cannot be sent.
    pub fn refuse(&self, item: Unsendable) {
        self.state().refused.push_back(item);
        self.refusal.notify_one();
    }

    /// An item that could not be sent.
    pub fn refused(&self) -> Option<Unsendable> {
        let refused = self.state().refused.pop_front();
        if refused.is_some() {
            self.room.notify_one();
        }
        refused
    }

    /// Wait for an item that cannot be sent.
    pub async fn refusal(&self) {
        self.refusal.notified().await;
    }

    /// There are no more items.
    pub fn end(&self) {
        self.state().all = true;
    }

    /// Whether there are no more items, and all have their replies.
    pub fn is_done(&self) -> bool {
        let state = self.state();
        state.all && state.kept.is_empty() && state.refused.is_empty()
    }

    /// What must be sent again, in its order; none if that cannot be told.
    pub fn left(&self) -> Option<Vec<T>> {
        let state = self.state();
        if state.ambiguous {
            return None;
        }
        let mut left: Vec<&Kept<T>> = state.kept.values().collect();
        left.sort_by_key(|kept| kept.number);
        Some(left.into_iter().map(|kept| kept.item.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use graft_proto::v1::ExtractItem;

    use super::*;

    fn item(id: &str) -> ExtractItem {
        ExtractItem { id: id.into(), ..ExtractItem::default() }
    }

    fn left(window: &Window<ExtractItem>) -> Vec<String> {
        window.left().unwrap().into_iter().map(|item| item.id).collect()
    }

    #[test]
    fn what_has_no_reply_is_left_in_its_order() {
        let window = Window::new();
        for id in ["c", "a", "b"] {
            window.keep(&item(id), 1, 1);
        }
        assert!(window.answered("a", None) && !window.answered("a", None), "once");
        assert_eq!(left(&window), ["c", "b"]);
        window.end();
        assert!(!window.is_done() && window.answered("b", Some(0)) && window.answered("c", Some(0)));
        assert!(window.is_done());
    }

    #[test]
    fn an_item_of_many_parts_is_left_until_all_have_come_and_none_comes_twice() {
        let window = Window::new();
        window.keep(&item("a"), 1, 3);
        assert!(window.answered("a", Some(2)) && !window.answered("a", Some(2)) && window.answered("a", Some(0)));
        assert_eq!(left(&window), ["a"]);
        assert!(window.answered("a", Some(1)));
        assert!(left(&window).is_empty());
        window.keep(&item("b"), 1, 3);
        assert!(window.answered("b", None), "a failure answers all");
        assert!(left(&window).is_empty());
    }

    #[test]
    fn two_of_one_id_both_have_replies_but_cannot_be_sent_again() {
        let window = Window::new();
        window.keep(&item("a"), 1, 1);
        window.keep(&item("a"), 1, 1);
        window.end();
        assert!(window.left().is_none());
        assert!(window.answered("a", None) && !window.is_done());
        assert!(window.answered("a", None) && window.is_done());
    }

    #[tokio::test]
    async fn it_has_an_end() {
        let window = Window::new();
        window.keep(&item("a"), BYTES, 1);
        assert!(window.room().now_or_never().is_none());
        window.answered("a", None);
        window.room().await;
        for count in 0..UNSENT {
            window.refuse(Unsendable { id: count.to_string(), field: "id", message: String::new() });
        }
        assert!(window.room().now_or_never().is_none());
        assert!(window.refused().is_some());
        window.room().await;
    }
}
