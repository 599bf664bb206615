//! A head that is ready to answer.

use std::sync::Arc;

use graft_chassis::status;
use graft_proto::v1::{Head, Prediction};
use tonic::Status;

use super::{labels::Labels, resolve::Resolved, rows::Rows, scores::Scores, target::Wanted, traffic::VersionTraffic};
use crate::fit::head::{self, Link, top_k};

/// What serving needs of one version of a head, and nothing else.
#[derive(Debug)]
pub struct ServedHead {
    /// NAME@VERSION.
    pub name: String,
    /// The embedding space that it classifies.
    pub space: Arc<str>,
    /// Its classes, in the order of its logits.
    labels: Labels,
    weights: Weights,
    link: Link,
    /// From which probability on each label is given; `None` of heads that give each input one class.
    thresholds: Option<Vec<f32>>,
    /// The least probability of an answer, where it has such a threshold.
    answer_from: Option<f64>,
    /// What it takes in memory, in bytes.
    bytes: u64,
    /// What it was asked.
    traffic: Arc<VersionTraffic>,
}

#[derive(Debug)]
enum Weights {
    /// `x·W + b`.
    Linear(Rows),
    /// Of another kind.
    Other(head::Head),
}

/// A head's answer for one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The most probable classes; of a sigmoid head also all others that apply.
    pub predictions: Vec<Prediction>,
    /// The most probable class is not probable enough.
    pub unknown: bool,
}

impl ServedHead {
    /// The version that `resolved` names, of what is stored of it; what it is asked is counted in `traffic`.
    pub fn new(
        resolved: &Resolved,
        head: Head,
        weights: head::Head,
        traffic: Arc<VersionTraffic>,
    ) -> Result<ServedHead, Status> {
        let name = format!("{}@{}", head.name, head.version);
        if weights.classes() != head.labels.len() || weights.dimension() != head.dimension as usize {
            return Err(status::internal(format!("the weights of {name} do not fit its labels")));
        }
        let (link, thresholds) = (weights.link(), weights.thresholds().map(<[f32]>::to_vec));
        let weights = match weights {
            head::Head::Linear(linear) | head::Head::Sigmoid { linear, .. } => Weights::Linear(Rows::new(linear)),
            other => Weights::Other(other),
        };
        Ok(ServedHead {
            name,
            space: resolved.space.clone(),
            labels: head.labels.into_iter().collect(),
            weights,
            link,
            thresholds,
            answer_from: head.report.and_then(|report| report.unknown).map(|unknown| unknown.threshold),
            bytes: resolved.bytes,
            traffic,
        })
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        match &self.weights {
            Weights::Linear(rows) => rows.dimension(),
            Weights::Other(head) => head.dimension(),
        }
    }

    /// Whether it classifies `space`.
    pub fn check_space(&self, space: &str) -> Result<(), Status> {
        if *self.space == *space {
            return Ok(());
        }
        Err(foreign(&self.name, &self.space, space))
    }

    /// Whether it can say that an input is unknown.
    pub fn check_unknown(&self, wanted: Wanted) -> Result<(), Status> {
        if !wanted.detect_unknown || self.answer_from.is_some() {
            return Ok(());
        }
        let why = match self.thresholds {
            Some(_) => {
                "it gives each label on its own, and none where it knows none; ask without it, and see which labels apply"
            }
            None => {
                "its validation split had too few right answers to choose one; ask without it, or train again with more examples"
            }
        };
        let message = format!("{} has no threshold for unknown inputs: {why}", self.name);
        Err(status::precondition("detect_unknown", message))
    }

    /// The answers for embeddings of the head's space, one for each of `rows` that lie one after the other.
    pub fn classify(&self, embeddings: &[f32], rows: usize, wanted: Wanted) -> Result<Vec<Answer>, Status> {
        let mut answers = Vec::with_capacity(rows);
        self.classify_each(embeddings, rows, wanted, |answer| answers.push(answer))?;
        Ok(answers)
    }

    /// The same, each answer given `to` somebody in turn.
    pub fn classify_each(
        &self,
        embeddings: &[f32],
        rows: usize,
        wanted: Wanted,
        to: impl FnMut(Answer),
    ) -> Result<(), Status> {
        self.check_unknown(wanted)?;
        let probabilities = self.probabilities(embeddings, rows)?;
        self.traffic.count(&probabilities, self.thresholds.as_deref());
        self.answers(&probabilities, wanted).for_each(to);
        Ok(())
    }

    /// The same without being counted: nobody has asked.
    pub fn classify_uncounted(&self, embeddings: &[f32], rows: usize, wanted: Wanted) -> Result<Vec<Answer>, Status> {
        Ok(self.answers(&self.probabilities(embeddings, rows)?, wanted).collect())
    }

    /// Its classes, in the order of its logits.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Whether it gives an input any number of labels, each on its own.
    pub fn gives_several(&self) -> bool {
        self.thresholds.is_some()
    }

    /// All that it gives for `rows` embeddings of its space, which lie one after the other.
    pub fn scores(&self, embeddings: &[f32], rows: usize) -> Result<Scores, Status> {
        let logits = self.logits(embeddings, rows)?;
        let mut probabilities = logits.clone();
        probabilities.chunks_exact_mut(self.labels.len()).for_each(|row| self.link.probabilities(row));
        self.traffic.count(&probabilities, self.thresholds.as_deref());
        let applies = self.thresholds.as_deref().map(|thresholds| {
            let least = thresholds.iter().cycle();
            probabilities.iter().zip(least).map(|(probability, least)| probability >= least).collect()
        });
        Ok(Scores { logits, probabilities, applies })
    }

    /// The probabilities of the classes, `[rows, classes]`.
    fn probabilities(&self, embeddings: &[f32], rows: usize) -> Result<Vec<f32>, Status> {
        let mut logits = self.logits(embeddings, rows)?;
        logits.chunks_exact_mut(self.labels.len()).for_each(|row| self.link.probabilities(row));
        Ok(logits)
    }

    /// The logits of the classes, `[rows, classes]`.
    fn logits(&self, embeddings: &[f32], rows: usize) -> Result<Vec<f32>, Status> {
        let dimension = self.dimension();
        if embeddings.len() != rows * dimension {
            let found = embeddings.len() / rows.max(1);
            let message = format!("{found} numbers; {dimension} are expected");
            return Err(status::invalid("input.embedding.data", message));
        }
        match &self.weights {
            Weights::Linear(weights) => Ok(weights.logits(embeddings)),
            Weights::Other(head) => {
                head.logits(embeddings.to_vec(), rows).map_err(|error| status::internal(error.to_string()))
            }
        }
    }

    fn answers<'a>(&'a self, probabilities: &'a [f32], wanted: Wanted) -> impl Iterator<Item = Answer> + 'a {
        probabilities.chunks_exact(self.labels.len()).map(move |row| self.answer(row, wanted))
    }

    /// The answer that a row of probabilities stands for.
    fn answer(&self, row: &[f32], wanted: Wanted) -> Answer {
        let thresholds = self.thresholds.as_deref();
        let applies = |class: usize| thresholds.is_some_and(|thresholds| row[class] >= thresholds[class]);
        let order = match thresholds {
            None => top_k(row, wanted.top_k),
            Some(_) => {
                let all = top_k(row, row.len()).into_iter().enumerate();
                all.filter(|(at, class)| *at < wanted.top_k || applies(*class)).map(|(_, class)| class).collect()
            }
        };
        let most = order.first().map_or(0.0, |class| f64::from(row[*class]));
        let unknown = wanted.detect_unknown && self.answer_from.is_some_and(|least| most < least);
        let prediction = |class: usize| Prediction {
            label: self.labels[class].to_string(),
            probability: row[class],
            threshold: thresholds.map(|thresholds| thresholds[class]),
            applies: applies(class),
        };
        Answer { predictions: order.into_iter().map(prediction).collect(), unknown }
    }
}

/// The head `name`, which classifies `own`, was asked about an embedding of `space`.
pub fn foreign(name: &str, own: &str, space: &str) -> Status {
    let space = status::quoted(space);
    let message = format!("the embedding is of `{space}`, but {name} classifies `{own}`; they must not be mixed");
    status::precondition("input.embedding.space", message)
}

#[cfg(test)]
pub(super) mod tests {
    use graft_proto::v1::{Report, UnknownThreshold};
    use tonic::Code;

    use super::*;
    use crate::{
        fit::head::{LinearHead, NeighboursHead, PerceptronHead, PrototypeHead, cosine::Space},
        names::Tenant,
    };

    /// A head of the space `net@0` with labels `a`, `b` and so on, which takes as many bytes as its weights.
    pub fn served(name: &str, weights: head::Head, answer_from: Option<f64>) -> ServedHead {
        let labels = (0..weights.classes()).map(|class| char::from(b'a' + class as u8).to_string()).collect();
        let unknown = answer_from.map(|threshold| UnknownThreshold { threshold, ..Default::default() });
        let head = Head {
            name: name.into(),
            version: 1,
            labels,
            dimension: weights.dimension() as u32,
            report: Some(Report { unknown, ..Default::default() }),
            ..Default::default()
        };
        let bytes = (weights.size() * size_of::<f32>()) as u64;
        let traffic = VersionTraffic::new(weights.classes(), head.report.as_ref(), weights.thresholds().is_some());
        let resolved = Resolved::new(&Tenant::default(), name, 1, "net@0".into(), bytes);
        ServedHead::new(&resolved, head, weights, traffic.into()).unwrap()
    }

    /// A linear head of one number.
    pub fn line(weights: &[f32]) -> LinearHead {
        let classes = weights.len();
        LinearHead { weights: weights.to_vec(), bias: vec![0.0; classes], dimension: 1, classes }
    }

    fn wanted(top_k: usize, detect_unknown: bool) -> Wanted {
        Wanted { top_k, detect_unknown }
    }

    #[test]
    fn an_embedding_must_be_of_the_heads_space_and_dimension() {
        let head = served("h", head::Head::Linear(line(&[1.0, 2.0])), None);
        let foreign = head.check_space("other@1").unwrap_err();
        assert_eq!(foreign.code(), Code::FailedPrecondition);
        assert!(foreign.message().contains("`other@1`") && foreign.message().contains("`net@0`"));
        assert!(head.check_space("net@0").is_ok());
        for (numbers, rows) in [(&[1.0, 2.0][..], 1), (&[], 1), (&[1.0], 2)] {
            let refused = head.classify(numbers, rows, wanted(1, false)).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{numbers:?}");
        }
        assert_eq!(head.classify(&[1.0, -1.0], 2, wanted(1, false)).unwrap().len(), 2);
    }

    #[test]
    fn an_unsure_answer_is_unknown_to_who_asks_and_a_head_without_a_threshold_says_so() {
        let weights = head::Head::Linear(line(&[1.0, -1.0]));
        let head = served("h", weights.clone(), Some(0.9));
        let unknown = |x: f32, asked| head.classify(&[x], 1, wanted(1, asked)).unwrap()[0].unknown;
        // Probabilities of 0.73 and 0.98.
        assert!(unknown(0.5, true) && !unknown(2.0, true) && !unknown(0.5, false));
        let without = served("h", weights, None);
        assert!(!without.classify(&[0.5], 1, wanted(1, false)).unwrap()[0].unknown);
        assert_eq!(without.classify(&[0.5], 1, wanted(1, true)).unwrap_err().code(), Code::FailedPrecondition);
    }

    #[test]
    fn every_label_that_applies_is_named_and_flagged() {
        let linear = line(&[3.0, 2.0, 1.0, -1.0]);
        let head = served("h", head::Head::Sigmoid { linear, thresholds: vec![0.99, 0.5, 0.6, 0.1] }, None);
        let found = &head.classify(&[1.0], 1, wanted(1, false)).unwrap()[0].predictions;
        let named: Vec<(&str, bool)> = found.iter().map(|p| (p.label.as_str(), p.applies)).collect();
        assert_eq!(named, [("a", false), ("b", true), ("c", true), ("d", true)]);
        assert!(found[3].threshold == Some(0.1) && found[3].probability < 0.5);
        let none = &head.classify(&[-4.0], 1, wanted(2, false)).unwrap()[0].predictions;
        assert_eq!(none.iter().filter(|p| p.applies).map(|p| p.label.as_str()).collect::<Vec<_>>(), ["d"]);
        assert_eq!(none.len(), 2);
        let refused = head.classify(&[1.0], 1, wanted(1, true)).unwrap_err();
        assert!(refused.message().contains("on its own"), "{}", refused.message());
    }

    #[test]
    fn every_kind_answers_as_it_was_fitted() {
        let linear = LinearHead { weights: vec![1.0, -2.0, 0.5, 3.0], bias: vec![0.1, 0.2], dimension: 2, classes: 2 };
        let space = Space { mean: vec![0.5, 0.0], scale: vec![1.0, 2.0] };
        let examples = vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        let owners = vec![0, 1, 1];
        let kinds = [
            head::Head::Linear(linear.clone()),
            head::Head::Sigmoid { linear: linear.clone(), thresholds: vec![0.5, 0.25] },
            head::Head::Prototype(PrototypeHead {
                space: space.clone(),
                means: examples[..4].to_vec(),
                sharpness: 4.0,
            }),
            head::Head::Neighbours(NeighboursHead { space, examples, owners, classes: 2, nearest: 2, factor: 0.75 }),
            head::Head::Perceptron(PerceptronHead { hidden: linear.clone(), output: linear }),
        ];
        let rows = vec![1.0, 1.0, -0.5, 2.0];
        for kind in kinds {
            let mut expected = kind.logits(rows.clone(), 2).unwrap();
            expected.chunks_exact_mut(2).for_each(|row| kind.probabilities(row));
            let found = served("h", kind.clone(), None).classify(&rows, 2, wanted(2, false)).unwrap();
            for (answer, expected) in found.iter().zip(expected.chunks_exact(2)) {
                let of = |label: &str| answer.predictions.iter().find(|p| p.label == label).unwrap().probability;
                assert!((of("a") - expected[0]).abs() < 1e-6 && (of("b") - expected[1]).abs() < 1e-6, "{kind:?}");
            }
        }
    }
}
