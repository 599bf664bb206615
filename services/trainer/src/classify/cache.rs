//! Heads that are kept ready to answer, within a budget of memory.

use std::{collections::HashMap, sync::Arc};

use graft_chassis::status;
use metrics::gauge;
use parking_lot::Mutex;
use tonic::Status;

use super::ServedHead;
use crate::{
    names::{HeadRef, Tenant},
    service::heads::existing,
    store::Store,
};

/// The heads that are ready.
#[derive(Clone, Debug)]
pub struct HeadCache {
    store: Store,
    budget: usize,
    kept: Arc<Mutex<Kept>>,
}

/// Tenant, name and version.
type Key = (Tenant, String, u32);

#[derive(Debug, Default)]
struct Kept {
    heads: HashMap<Key, (Arc<ServedHead>, u64)>,
    bytes: usize,
    clock: u64,
}

impl HeadCache {
    /// Keep at most `budget` bytes of weights ready.
    pub fn new(store: Store, budget: usize) -> HeadCache {
        HeadCache { store, budget, kept: Arc::default() }
    }

    /// The head that is meant, read if it is not ready.
    pub async fn get(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Arc<ServedHead>, Status> {
        // The store is asked each time: what was deleted is not served, nor an old version as the newest.
        let version = self.store.version(tenant, wanted).await?;
        let exact = version.map_or_else(|| wanted.clone(), |version| HeadRef::version_of(&wanted.name, version));
        let key = (tenant.clone(), wanted.name.as_str().to_owned(), version.unwrap_or_default());
        let ready = self.kept.lock().touch(&key);
        if version.is_some()
            && let Some(ready) = ready
        {
            return Ok(ready);
        }
        let mut head = existing(&self.store, tenant, &exact).await?;
        let answer_from = head.report.take().and_then(|report| report.unknown).map(|unknown| unknown.threshold);
        let weights = self.store.weights(tenant, &head.name, head.version).await?;
        let weights =
            weights.ok_or_else(|| status::not_found("head", &exact.to_string(), "it was deleted just now"))?;
        if weights.classes() != head.labels.len() || weights.dimension() != head.dimension as usize {
            return Err(status::internal(format!("the weights of {exact} do not fit its labels")));
        }
        let served = Arc::new(ServedHead { head, weights, answer_from });
        self.kept.lock().insert(key, served.clone(), self.budget);
        Ok(served)
    }

    /// Make room: this was deleted.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        let deleted = |(of, name, version): &Key| {
            of == tenant && name == wanted.name.as_str() && wanted.version().is_none_or(|wanted| wanted == *version)
        };
        let mut kept = self.kept.lock();
        let gone: Vec<Key> = kept.heads.keys().filter(|key| deleted(key)).cloned().collect();
        gone.iter().for_each(|key| kept.remove(key));
    }
}

impl Kept {
    fn touch(&mut self, key: &Key) -> Option<Arc<ServedHead>> {
        self.clock += 1;
        let (head, used) = self.heads.get_mut(key)?;
        *used = self.clock;
        Some(head.clone())
    }

    fn insert(&mut self, key: Key, served: Arc<ServedHead>, budget: usize) {
        self.remove(&key);
        self.bytes += served.bytes();
        self.clock += 1;
        self.heads.insert(key, (served, self.clock));
        while self.bytes > budget && self.heads.len() > 1 {
            let oldest = self.heads.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        gauge!("graft_trainer_heads_ready").set(self.heads.len() as f64);
        gauge!("graft_trainer_heads_ready_bytes").set(self.bytes as f64);
    }

    fn remove(&mut self, key: &Key) {
        if let Some((head, _)) = self.heads.remove(key) {
            self.bytes -= head.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Head;

    use super::*;
    use crate::fit::head;

    fn served(name: &str) -> Arc<ServedHead> {
        let head = Head { name: name.into(), version: 1, ..Default::default() };
        let weights = head::LinearHead { weights: vec![0.0; 90], bias: vec![0.0; 10], dimension: 9, classes: 10 };
        Arc::new(ServedHead { head, weights: head::Head::Linear(weights), answer_from: None })
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut kept = Kept::default();
        let key = |name: &str| (Tenant::default(), name.to_owned(), 1);
        kept.insert(key("a"), served("a"), 800);
        kept.insert(key("b"), served("b"), 800);
        assert!(kept.touch(&key("a")).is_some());
        kept.insert(key("c"), served("c"), 800);
        assert!(kept.touch(&key("b")).is_none() && kept.touch(&key("a")).is_some());
        assert_eq!((kept.heads.len(), kept.bytes), (2, 800));
        assert!(kept.touch(&(Tenant::stored("other".into()), "a".into(), 1)).is_none());
        kept.insert(key("a"), served("a"), 800);
        assert_eq!(kept.bytes, 800, "the same again takes no more room");
    }
}
