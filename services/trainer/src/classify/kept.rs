//! The heads that are in memory, the least recently used first to go.

use std::{collections::VecDeque, sync::Arc};

use hashlink::LinkedHashMap;
use metrics::gauge;

use super::{
    head::ServedHead,
    resolve::{HeadVersion, Resolved},
    together::Candidate,
};

/// Groups that are remembered, at the most.
const GROUPS: usize = 8;

/// Heads within a budget.
#[derive(Debug)]
pub struct Kept {
    /// From the least to the most recently used.
    heads: LinkedHashMap<HeadVersion, Arc<ServedHead>>,
    /// What they take, in bytes.
    bytes: u64,
    budget: u64,
    /// Heads that were asked together of late, the newest last: so that they need not be looked up one by one again. None of them
    /// is outlived by its group.
    groups: VecDeque<Group>,
    /// How often a head was let go.
    losses: u64,
}

/// All heads of a space.
#[derive(Debug)]
struct Group {
    /// What the store said of them: another list, and they must be looked up again.
    versions: Arc<[Resolved]>,
    candidates: Arc<[Candidate]>,
}

impl Kept {
    /// Keep at most `budget` bytes; or one head, however large it is.
    pub fn new(budget: u64) -> Kept {
        Kept { heads: LinkedHashMap::new(), bytes: 0, budget, groups: VecDeque::new(), losses: 0 }
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
            self.lost_one();
        }
        self.tell();
    }

    /// The heads of `versions`, if they were asked together before and are still all there. They do not count as used: the
    /// store is asked for such a list every second, and then they do.
    pub fn group(&self, versions: &Arc<[Resolved]>) -> Option<Arc<[Candidate]>> {
        let group = self.groups.iter().find(|group| Arc::ptr_eq(&group.versions, versions));
        group.map(|group| group.candidates.clone())
    }

    /// Remember that `versions` are `candidates`, unless one was let go since there were so many [`losses`](Self::losses).
    pub fn remember(&mut self, versions: Arc<[Resolved]>, candidates: Arc<[Candidate]>, losses: u64) {
        if losses == self.losses {
            if self.groups.len() == GROUPS {
                self.groups.pop_front();
            }
            self.groups.push_back(Group { versions, candidates });
        }
    }

    /// How often a head was let go.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    fn lost_one(&mut self) {
        self.losses += 1;
        self.groups.clear();
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
            self.lost_one();
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

    #[test]
    fn a_group_is_forgotten_once_one_of_its_heads_is_let_go() {
        let mut kept = Kept::new(160);
        let of = |names: &[&str]| -> (Arc<[Resolved]>, Arc<[Candidate]>) {
            let version = |name: &&str| Resolved::new(&Tenant::default(), name, 1, "net@0".into(), 80);
            let candidate = |name: &&str| Candidate { name: (*name).into(), head: Ok(small(name)) };
            (names.iter().map(version).collect(), names.iter().map(candidate).collect())
        };
        let (versions, candidates) = of(&["a", "b"]);
        kept.insert(key("a"), small("a"));
        kept.insert(key("b"), small("b"));
        kept.remember(versions.clone(), candidates.clone(), kept.losses());
        assert!(Arc::ptr_eq(&kept.group(&versions).unwrap(), &candidates));
        assert!(kept.group(&of(&["a", "b"]).0).is_none(), "another list is looked up again");
        let before = kept.losses();
        kept.insert(key("c"), small("c"));
        assert!(kept.group(&versions).is_none(), "one made room");
        kept.remember(versions.clone(), candidates.clone(), before);
        assert!(kept.group(&versions).is_none(), "one was let go while they were looked up");
        for at in 0..=GROUPS {
            let (versions, candidates) = of(&["b", &at.to_string()]);
            kept.remember(versions.clone(), candidates, kept.losses());
            assert!(kept.group(&versions).is_some() && kept.groups.len() <= GROUPS);
        }
        kept.forget(|version| &*version.name == "b");
        assert!(kept.groups.is_empty());
    }
}
