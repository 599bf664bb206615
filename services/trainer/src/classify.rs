//! Classification: a head's answer for an embedding. Heads are kept ready within a budget of memory.

use std::{collections::HashMap, sync::Arc};

use graft_chassis::status;
use graft_proto::v1::{ClassifyResponse, DType, Embedding, Head, Prediction};
use metrics::gauge;
use parking_lot::Mutex;
use tonic::Status;

use crate::{
    fit::head::{self, floats, top_k},
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
    weights: head::Head,
}

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
        let exact = HeadRef { name: wanted.name.clone(), version: version.or(wanted.version) };
        let key = (tenant.clone(), wanted.name.as_str().to_owned(), version.unwrap_or_default());
        let ready = self.kept.lock().touch(&key);
        if version.is_some()
            && let Some(ready) = ready
        {
            return Ok(ready);
        }
        let mut head = existing(&self.store, tenant, &exact).await?;
        head.report = None;
        let weights = self.store.weights(tenant, &head.name, head.version).await?;
        let weights =
            weights.ok_or_else(|| status::not_found("head", &exact.to_string(), "it was deleted just now"))?;
        if weights.classes() != head.labels.len() || weights.dimension() != head.dimension as usize {
            return Err(status::internal(format!("the weights of {exact} do not fit its labels")));
        }
        let served = Arc::new(ServedHead { head, weights });
        self.kept.lock().insert(key, served.clone(), self.budget);
        Ok(served)
    }

    /// Make room: this was deleted.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        let deleted = |(of, name, version): &Key| {
            of == tenant && name == wanted.name.as_str() && wanted.version.is_none_or(|wanted| wanted == *version)
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

impl ServedHead {
    fn bytes(&self) -> usize {
        let labels: usize = self.head.labels.iter().map(|label| label.len() + size_of::<String>()).sum();
        self.weights.size() * size_of::<f32>() + labels
    }

    /// The most probable classes for an embedding of the head's space.
    pub fn classify(&self, embedding: Vec<f32>, k: usize) -> Result<ClassifyResponse, Status> {
        let mut row = self.weights.logits(embedding, 1).map_err(|error| status::internal(error.to_string()))?;
        self.weights.probabilities(&mut row);
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
                    status::quoted(&embedding.space)
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
    use tonic::Code;

    use super::*;

    fn served(name: &str) -> Arc<ServedHead> {
        let head = Head { name: name.into(), version: 1, ..Default::default() };
        let weights = head::LinearHead { weights: vec![0.0; 90], bias: vec![0.0; 10], dimension: 9, classes: 10 };
        Arc::new(ServedHead { head, weights: head::Head::Linear(weights) })
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

    #[test]
    fn an_embedding_must_be_of_the_heads_space_and_dimension() {
        let head = Head { name: "h".into(), version: 2, space: "net@0".into(), dimension: 2, ..Default::default() };
        let weights = head::LinearHead { weights: vec![0.0; 4], bias: vec![0.0; 2], dimension: 2, classes: 2 };
        let served = ServedHead { head, weights: head::Head::Linear(weights) };
        let read = |space: &str, dtype: i32, data: &[u8]| {
            served.read(&Embedding { space: space.into(), dtype, data: data.to_vec().into() })
        };
        let singles: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let halves: Vec<u8> = [1.0f32, -2.0].iter().flat_map(|n| half::f16::from_f32(*n).to_le_bytes()).collect();
        assert_eq!(read("net@0", DType::Unspecified as i32, &singles).unwrap(), [1.0, -2.0]);
        assert_eq!(read("net@0", DType::F16 as i32, &halves).unwrap(), [1.0, -2.0]);
        let foreign = read("other@1", 0, &singles).unwrap_err();
        assert_eq!(foreign.code(), Code::FailedPrecondition);
        assert!(foreign.message().contains("`other@1`") && foreign.message().contains("`net@0`"));
        let infinite: Vec<u8> = [f32::INFINITY; 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        for (dtype, data) in
            [(0, &singles[..4]), (0, &singles[..7]), (0, &halves[..]), (9, &singles[..]), (0, &infinite)]
        {
            assert_eq!(read("net@0", dtype, data).unwrap_err().code(), Code::InvalidArgument, "{dtype} {data:?}");
        }
    }

    #[test]
    fn top_k_has_a_default_and_a_limit() {
        assert_eq!(check_top_k(0).unwrap(), 5);
        assert_eq!(check_top_k(1000).unwrap(), 1000);
        assert_eq!(check_top_k(1001).unwrap_err().code(), Code::InvalidArgument);
    }
}
