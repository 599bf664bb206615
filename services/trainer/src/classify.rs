//! Classification: a head's answer for an embedding. Heads are kept ready within a budget of memory.

use std::{collections::HashMap, sync::Arc};

use graft_chassis::status;
use graft_proto::v1::{ClassifyResponse, DType, Embedding, Head, Prediction};
use metrics::gauge;
use parking_lot::Mutex;
use tonic::Status;

use crate::{
    fit::head::{LinearHead, floats, softmax, top_k},
    names::{HeadRef, Tenant},
    service::heads::existing,
    store::Store,
};

/// Classes named unless told.
const USUAL_TOP_K: u32 = 5;
/// Classes named at the most.
const MOST_TOP_K: u32 = 1000;

/// A head that is ready to answer.
#[derive(Debug)]
pub struct ServedHead {
    /// What is known of it, its report left out.
    pub head: Head,
    weights: LinearHead,
}

/// The heads that are ready.
#[derive(Clone, Debug)]
pub struct HeadCache {
    store: Store,
    budget: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    heads: HashMap<(String, u32), (Arc<ServedHead>, u64)>,
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
        let newest = match wanted.version {
            Some(version) => Some(version),
            None => self.store.newest_version(tenant, &wanted.name).await?,
        };
        if let Some(version) = newest
            && let Some(ready) = self.kept.lock().touch(&(wanted.name.as_str().to_owned(), version))
        {
            return Ok(ready);
        }
        let exact = HeadRef { name: wanted.name.clone(), version: newest };
        let mut head = existing(&self.store, tenant, &exact).await?;
        head.report = None;
        let weights = self.store.weights(tenant, &head.name, head.version).await?;
        let weights =
            weights.ok_or_else(|| status::not_found("head", &exact.to_string(), "it was deleted just now"))?;
        if weights.classes != head.labels.len() || weights.dimension != head.dimension as usize {
            return Err(status::internal(format!("the weights of {exact} do not fit its labels")));
        }
        let served = Arc::new(ServedHead { head, weights });
        self.kept.lock().insert(served.clone(), self.budget);
        Ok(served)
    }

    /// Forget what was deleted.
    pub fn forget(&self, wanted: &HeadRef) {
        let mut kept = self.kept.lock();
        let gone: Vec<(String, u32)> = kept
            .heads
            .keys()
            .filter(|(name, version)| name == wanted.name.as_str() && wanted.version.is_none_or(|v| v == *version))
            .cloned()
            .collect();
        gone.iter().for_each(|key| kept.remove(key));
    }
}

impl Kept {
    fn touch(&mut self, key: &(String, u32)) -> Option<Arc<ServedHead>> {
        self.clock += 1;
        let (head, used) = self.heads.get_mut(key)?;
        *used = self.clock;
        Some(head.clone())
    }

    fn insert(&mut self, served: Arc<ServedHead>, budget: usize) {
        let key = (served.head.name.clone(), served.head.version);
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

    fn remove(&mut self, key: &(String, u32)) {
        if let Some((head, _)) = self.heads.remove(key) {
            self.bytes -= head.bytes();
        }
    }
}

impl ServedHead {
    fn bytes(&self) -> usize {
        (self.weights.weights.len() + self.weights.bias.len()) * size_of::<f32>()
    }

    /// The most probable classes for an embedding of the head's space.
    pub fn classify(&self, embedding: Vec<f32>, k: usize) -> Result<ClassifyResponse, Status> {
        let mut row = self.weights.logits(embedding, 1).map_err(|error| status::internal(error.to_string()))?;
        softmax(&mut row);
        let predictions = top_k(&row, k)
            .into_iter()
            .map(|class| Prediction { label: self.head.labels[class].clone(), probability: row[class] })
            .collect();
        Ok(ClassifyResponse { predictions, head: format!("{}@{}", self.head.name, self.head.version) })
    }

    /// The numbers of a caller's embedding, if it is of the head's space and dimension.
    pub fn read(&self, embedding: &Embedding) -> Result<Vec<f32>, Status> {
        let Head { name, version, space, dimension, .. } = &self.head;
        if embedding.space != *space {
            return Err(status::precondition(
                "input.embedding.space",
                format!(
                    "the embedding is of `{}`, but {name}@{version} classifies `{space}`; they must not be mixed",
                    embedding.space
                ),
            ));
        }
        let numbers = match DType::try_from(embedding.dtype) {
            Ok(DType::Unspecified | DType::F32) if embedding.data.len().is_multiple_of(4) => floats(&embedding.data),
            Ok(DType::F16) if embedding.data.len().is_multiple_of(2) => halves(&embedding.data),
            Ok(_) => return Err(status::invalid("input.embedding.data", "the bytes are no whole count of numbers")),
            Err(_) => {
                let accepted = "D_TYPE_F32 and D_TYPE_F16 are accepted";
                return Err(status::invalid(
                    "input.embedding.dtype",
                    format!("{} is unknown; {accepted}", embedding.dtype),
                ));
            }
        };
        if numbers.len() != *dimension as usize {
            let found = numbers.len();
            return Err(status::invalid("input.embedding.data", format!("{found} numbers; {dimension} are expected")));
        }
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(status::invalid("input.embedding.data", "a number is not finite"));
        }
        Ok(numbers)
    }
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|two| half::f16::from_le_bytes(*two).to_f32()).collect()
}

/// How many classes to name.
pub fn check_top_k(top_k: u32) -> Result<usize, Status> {
    match top_k {
        0 => Ok(USUAL_TOP_K as usize),
        1..=MOST_TOP_K => Ok(top_k as usize),
        _ => Err(status::invalid("top_k", format!("{top_k}; 1 to {MOST_TOP_K} are accepted, 0 for {USUAL_TOP_K}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(name: &str) -> Arc<ServedHead> {
        let head = Head { name: name.into(), version: 1, ..Default::default() };
        let weights = LinearHead { weights: vec![0.0; 90], bias: vec![0.0; 10], dimension: 9, classes: 10 };
        Arc::new(ServedHead { head, weights })
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut kept = Kept::default();
        kept.insert(served("a"), 800);
        kept.insert(served("b"), 800);
        assert!(kept.touch(&("a".into(), 1)).is_some());
        kept.insert(served("c"), 800);
        assert!(kept.touch(&("b".into(), 1)).is_none() && kept.touch(&("a".into(), 1)).is_some());
        assert_eq!((kept.heads.len(), kept.bytes), (2, 800));
        kept.insert(served("a"), 800);
        assert_eq!(kept.bytes, 800, "the same again takes no more room");
    }
}
