//! One at a time for each key: who comes second waits, and finds done what the first has done.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Keys whose turns are taken or waited for. It holds no more than are.
#[derive(Debug)]
pub struct Turns<K: Eq + Hash + Clone> {
    taken: Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a, K: Eq + Hash + Clone> {
    turns: &'a Turns<K>,
    key: K,
    lock: Arc<tokio::sync::Mutex<()>>,
    /// `None` while the turn is waited for.
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> Default for Turns<K> {
    fn default() -> Self {
        Turns { taken: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// Wait for the turn of `key`.
    pub async fn take(&self, key: K) -> Turn<'_, K> {
        let lock = self.taken.lock().entry(key.clone()).or_default().clone();
        let mut turn = Turn { turns: self, key, lock, held: None };
        turn.held = Some(turn.lock.clone().lock_owned().await);
        turn
    }
}

impl<K: Eq + Hash + Clone> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock();
        self.held = None;
        // The map's and this one: nobody waits.
        if Arc::strong_count(&self.lock) == 2 {
            taken.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{FutureExt, future::join_all};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_is_one_at_a_time_and_nothing_is_left_behind() {
        let turns: Turns<usize> = Turns::default();
        let inside = [const { AtomicUsize::new(0) }; 3];
        let work = async |key: usize| {
            let _turn = turns.take(key).await;
            assert_eq!(inside[key].fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            inside[key].fetch_sub(1, Ordering::SeqCst);
        };
        join_all((0..300).map(|index| work(index % 3))).await;
        assert!(turns.taken.lock().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let turns: Turns<&str> = Turns::default();
        let first = turns.take("a").await;
        let mut second = Box::pin(turns.take("a"));
        assert!((&mut second).now_or_never().is_none());
        assert!(turns.take("b").now_or_never().is_some(), "other keys do not wait");
        drop(first);
        drop(second);
        assert!(turns.taken.lock().is_empty());
    }
}
