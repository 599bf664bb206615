//! What was kept of late: all that somebody holds, and so many more that were used last.

use std::{collections::HashMap, hash::Hash, sync::Arc};

/// Those that nobody holds, at the most; a few times as many between two times that they are looked through.
const MOST_IDLE: usize = 1000;

/// When something was last used.
pub trait LastUsed {
    /// In milliseconds since 1970; 0 if never.
    fn last_used(&self) -> i64;
}

/// What was kept of late.
#[derive(Debug)]
pub struct Recent<K, V> {
    entries: HashMap<K, Arc<V>>,
    /// How many there are when they are looked through next.
    look_at: usize,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { entries: HashMap::new(), look_at: MOST_IDLE }
    }
}

impl<K: Eq + Hash + Clone, V: LastUsed> Recent<K, V> {
    /// The one of this key, made if there is none.
    pub fn get(&mut self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(there) = self.entries.get(&key) {
            return there.clone();
        }
        if self.entries.len() >= self.look_at {
            self.prune();
        }
        self.entries.entry(key).or_insert_with(|| Arc::new(make())).clone()
    }

    /// The one of this key, if there is one.
    pub fn peek(&self, key: &K) -> Option<&Arc<V>> {
        self.entries.get(key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.entries.iter()
    }

    /// Keep those alone that `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }

    fn prune(&mut self) {
        let idle = self.entries.iter().filter(|(_, entry)| Arc::strong_count(entry) == 1);
        let mut idle: Vec<(i64, K)> = idle.map(|(key, entry)| (entry.last_used(), key.clone())).collect();
        idle.sort_unstable_by_key(|(last, _)| std::cmp::Reverse(*last));
        for (_, key) in idle.iter().skip(MOST_IDLE / 2) {
            self.entries.remove(key);
        }
        // As many come in before the next look as are looked at.
        self.look_at = self.entries.len() + MOST_IDLE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Used(i64);

    impl LastUsed for Used {
        fn last_used(&self) -> i64 {
            self.0
        }
    }

    #[test]
    fn what_is_held_stays_and_of_the_rest_what_was_used_last() {
        let mut recent: Recent<i64, Used> = Recent::default();
        let held: Vec<Arc<Used>> = (0..10).map(|key| recent.get(key, || Used(key))).collect();
        for key in 10..100_000 {
            recent.get(key, || Used(key));
            assert!(recent.entries.len() <= held.len() + 2 * MOST_IDLE);
        }
        assert!((0..10).all(|key| recent.entries.contains_key(&key)) && recent.entries.contains_key(&99_500));
        assert!(Arc::ptr_eq(&recent.get(3, || unreachable!()), &held[3]));
        recent.retain(|key| *key == 3);
        assert_eq!(recent.iter().count(), 1);
    }
}
