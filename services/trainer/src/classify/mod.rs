//! Classification: a head's answer for an embedding.
//!
//! # Layout
//! - [`cache`]: the heads that are kept ready.
//! - [`scores`]: all that a head gives, as numbers.

use graft_chassis::status;
use graft_proto::v1::{ClassifyResponse, DType, Embedding, Head, Prediction};
use tonic::Status;

use crate::fit::head::{self, floats, top_k};

pub mod cache;
pub mod scores;

pub use cache::HeadCache;
pub use scores::Scores;

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
    /// The least probability of an answer, where it has such a threshold.
    answer_from: Option<f64>,
}

/// What a caller wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Classes to name.
    top_k: usize,
    /// Say that an input is unknown where the most probable class is less probable than this.
    answer_from: Option<f64>,
}

impl Wanted {
    /// The wishes of a request for `head`, if they can be met.
    pub fn check(top_k: u32, detect_unknown: bool, head: &ServedHead) -> Result<Wanted, Status> {
        let answer_from = if detect_unknown { head.answer_from } else { None };
        if detect_unknown && answer_from.is_none() {
            let Head { name, version, .. } = &head.head;
            let message = match head.weights.thresholds() {
                Some(_) => format!(
                    "{name}@{version} has no threshold for unknown inputs: it gives each label on its own, and none where it \
                     knows none; ask without it, and see which labels apply"
                ),
                None => format!(
                    "{name}@{version} has no threshold for unknown inputs: its validation split had too few right answers to \
                     choose one; ask without it, or train again with more examples"
                ),
            };
            return Err(status::precondition("detect_unknown", message));
        }
        Ok(Wanted { top_k: check_top_k(top_k)?, answer_from })
    }
}

impl ServedHead {
    fn bytes(&self) -> usize {
        let labels: usize = self.head.labels.iter().map(|label| label.len() + size_of::<String>()).sum();
        self.weights.size() * size_of::<f32>() + labels
    }

    /// Whether it gives an input any number of labels, each on its own.
    pub fn gives_several(&self) -> bool {
        self.weights.thresholds().is_some()
    }

    /// The most probable classes for an embedding of the head's space; of a sigmoid head also all others that apply.
    pub fn classify(&self, embedding: Vec<f32>, wanted: Wanted) -> Result<ClassifyResponse, Status> {
        let mut row = self.weights.logits(embedding, 1).map_err(|error| status::internal(error.to_string()))?;
        self.weights.probabilities(&mut row);
        let thresholds = self.weights.thresholds();
        let applies = |class: usize| thresholds.is_some_and(|thresholds| row[class] >= thresholds[class]);
        let mut order = top_k(&row, row.len());
        let mut named = 0;
        order.retain(|class| {
            named += 1;
            named <= wanted.top_k || applies(*class)
        });
        let most = order.first().map_or(0.0, |class| f64::from(row[*class]));
        let unknown = wanted.answer_from.is_some_and(|least| most < least);
        let predictions = order
            .into_iter()
            .map(|class| Prediction {
                label: self.head.labels[class].clone(),
                probability: row[class],
                threshold: thresholds.map(|thresholds| thresholds[class]),
                applies: applies(class),
            })
            .collect();
        Ok(ClassifyResponse { predictions, head: format!("{}@{}", self.head.name, self.head.version), unknown })
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
fn check_top_k(top_k: u32) -> Result<usize, Status> {
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

    #[test]
    fn an_embedding_must_be_of_the_heads_space_and_dimension() {
        let head = Head { name: "h".into(), version: 2, space: "net@0".into(), dimension: 2, ..Default::default() };
        let weights = head::LinearHead { weights: vec![0.0; 4], bias: vec![0.0; 2], dimension: 2, classes: 2 };
        let served = ServedHead { head, weights: head::Head::Linear(weights), answer_from: None };
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
    fn an_unsure_answer_is_unknown_to_who_asks_and_a_head_without_a_threshold_says_so() {
        let head = Head { labels: vec!["a".into(), "b".into()], ..Default::default() };
        let weights = head::LinearHead { weights: vec![1.0, -1.0], bias: vec![0.0; 2], dimension: 1, classes: 2 };
        let mut served = ServedHead { head, weights: head::Head::Linear(weights), answer_from: Some(0.9) };
        let unknown = |served: &ServedHead, logit: f32, ask: bool| {
            served.classify(vec![logit], Wanted::check(1, ask, served).unwrap()).unwrap().unknown
        };
        assert!(unknown(&served, 0.5, true) && !unknown(&served, 2.0, true) && !unknown(&served, 0.5, false));
        served.answer_from = None;
        assert!(!unknown(&served, 0.5, false));
        assert_eq!(Wanted::check(1, true, &served).unwrap_err().code(), Code::FailedPrecondition);
    }

    #[test]
    fn every_label_that_applies_is_named_and_flagged() {
        let labels: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let head = Head { labels, ..Default::default() };
        let linear =
            head::LinearHead { weights: vec![3.0, 2.0, 1.0, -1.0], bias: vec![0.0; 4], dimension: 1, classes: 4 };
        let weights = head::Head::Sigmoid { linear, thresholds: vec![0.99, 0.5, 0.6, 0.1] };
        let served = ServedHead { head, weights, answer_from: None };
        let found = served.classify(vec![1.0], Wanted::check(1, false, &served).unwrap()).unwrap().predictions;
        let named: Vec<(&str, bool)> = found.iter().map(|p| (p.label.as_str(), p.applies)).collect();
        assert_eq!(named, [("a", false), ("b", true), ("c", true), ("d", true)]);
        assert!(found[3].threshold == Some(0.1) && found[3].probability < 0.5);
        let none = served.classify(vec![-4.0], Wanted::check(2, false, &served).unwrap()).unwrap().predictions;
        assert_eq!(none.iter().filter(|p| p.applies).map(|p| p.label.as_str()).collect::<Vec<_>>(), ["d"]);
        assert_eq!(none.len(), 2);
        let refused = Wanted::check(1, true, &served).unwrap_err();
        assert!(refused.message().contains("on its own"), "{}", refused.message());
    }

    #[test]
    fn top_k_has_a_default_and_a_limit() {
        assert_eq!(check_top_k(0).unwrap(), 5);
        assert_eq!(check_top_k(1000).unwrap(), 1000);
        assert_eq!(check_top_k(1001).unwrap_err().code(), Code::InvalidArgument);
    }
}
