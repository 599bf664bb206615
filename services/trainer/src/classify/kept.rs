//! The heads that are in memory, the least recently used first to go.

use std::sync::Arc;

use hashlink::LinkedHashMap;
use metrics::gauge;

use super::{head::ServedHead, resolve::HeadVersion};

/// Heads within a budget.
#[derive(Debug)]
pub struct Kept {
    /// From the least to the most recently used.
    heads: LinkedHashMap<HeadVersion, Arc<ServedHead>>,
    /// What they take, in bytes.
    bytes: u64,
    budget: u64,
}

impl Kept {
    /// Keep at most `budget` bytes; or one head, however large it is.
    pub fn new(budget: u64) -> Kept {
        Kept { heads: LinkedHashMap::new(), bytes: 0, budget }
    }

    /// A head that is used now.
    pub fn touch(&mut self, version: &HeadVersion) -> Option<Arc<ServedHead>> {
        self.heads.to_back(version).map(|head| head.clone())
    }

    /// Keep a head, which is used now; others make room.
    pub fn insert(&mut self, version: HeadVersion, head: Arc<ServedHead>) {
        self.remove(&version);
        self.bytes += head.bytes();
        self.heads.insert(version, head);
        while self.bytes > self.budget && self.heads.len() > 1 {
            let Some((_, oldest)) = self.heads.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        self.tell();
    }

    /// Let go of the versions of which `gone` is true.
    pub fn forget(&mut self, gone: impl Fn(&HeadVersion) -> bool) {
        let versions: Vec<HeadVersion> = self.heads.keys().filter(|version| gone(version)).cloned().collect();
        versions.iter().for_each(|version| self.remove(version));
        self.tell();
    }

    fn remove(&mut self, version: &HeadVersion) {
        if let Some(head) = self.heads.remove(version) {
            self.bytes -= head.bytes();
        }
    }

    fn tell(&self) {
        gauge!("graft_trainer_heads_ready").set(self.heads.len() as f64);
        gauge!("graft_trainer_heads_ready_bytes").set(self.bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::tests::{line, served};
    use super::*;
    use crate::{fit::head, names::Tenant};

    fn version(tenant: Tenant, name: &str) -> HeadVersion {
        HeadVersion { tenant, name: name.into(), version: 1 }
    }

    fn key(name: &str) -> HeadVersion {
        version(Tenant::default(), name)
    }

    /// A head of 80 bytes.
    fn small(name: &str) -> Arc<ServedHead> {
        Arc::new(served(name, head::Head::Linear(line(&[0.0; 10])), None))
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut kept = Kept::new(160);
        kept.insert(key("a"), small("a"));
        kept.insert(key("b"), small("b"));
        assert!(kept.touch(&key("a")).is_some());
        kept.insert(key("c"), small("c"));
        assert!(kept.touch(&key("b")).is_none() && kept.touch(&key("a")).is_some());
        assert_eq!((kept.heads.len(), kept.bytes), (2, 160));
        assert!(kept.touch(&version(Tenant::stored("other".into()), "a")).is_none());
        kept.insert(key("a"), small("a"));
        assert_eq!(kept.bytes, 160, "the same again takes no more room");
        kept.forget(|version| &*version.name == "a");
        assert!(kept.touch(&key("a")).is_none() && kept.bytes == 80);
    }

    #[test]
    fn one_head_is_kept_however_large_it_is() {
        let mut kept = Kept::new(10);
        kept.insert(key("a"), small("a"));
        assert!(kept.touch(&key("a")).is_some());
        kept.insert(key("b"), small("b"));
        assert!(kept.touch(&key("a")).is_none() && kept.touch(&key("b")).is_some());
    }
}
