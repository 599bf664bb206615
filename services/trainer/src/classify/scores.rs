//! All that a head gives for many embeddings, as numbers.

use graft_chassis::status;
use tonic::Status;

use super::ServedHead;

/// A number a class, of each of some embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// `[rows, classes]`.
    pub logits: Vec<f32>,
    /// `[rows, classes]`.
    pub probabilities: Vec<f32>,
    /// `[rows, classes]`: whether the label is given; `None` of heads that give each input one class.
    pub applies: Option<Vec<bool>>,
}

impl ServedHead {
    /// The scores of `rows` embeddings of the head's space, which lie one after the other.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
    pub fn scores(&self, embeddings: Vec<f32>, rows: usize) -> Result<Scores, Status> {
        let logits = self.weights.logits(embeddings, rows).map_err(|error| status::internal(error.to_string()))?;
        let classes = self.head.labels.len().max(1);
        let mut probabilities = logits.clone();
        probabilities.chunks_exact_mut(classes).for_each(|row| self.weights.probabilities(row));
        let applies = self.weights.thresholds().map(|thresholds| {
            let least = thresholds.iter().cycle();
            probabilities.iter().zip(least).map(|(probability, least)| probability >= least).collect()
        });
        Ok(Scores { logits, probabilities, applies })
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Head;

    use super::*;
    use crate::{classify::Wanted, fit::head};

    fn linear() -> head::LinearHead {
        head::LinearHead { weights: vec![1.0, -1.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 }
    }

    #[test]
    fn scores_are_those_that_a_classification_names() {
        for weights in
            [head::Head::Linear(linear()), head::Head::Sigmoid { linear: linear(), thresholds: vec![0.6, 0.3] }]
        {
            let head = Head { labels: vec!["a".into(), "b".into()], ..Default::default() };
            let served = ServedHead { head, weights, answer_from: None };
            let scores = served.scores(vec![1.0, -2.0, 0.1], 3).unwrap();
            assert_eq!(scores.logits, [1.0, -0.5, -2.0, 2.5, 0.1, 0.4]);
            for (row, embedding) in [1.0, -2.0, 0.1].into_iter().enumerate() {
                let wanted = Wanted::check(2, false, &served).unwrap();
                for named in served.classify(vec![embedding], wanted).unwrap().predictions {
                    let column = 2 * row + usize::from(named.label == "b");
                    assert!((scores.probabilities[column] - named.probability).abs() < 1e-6);
                    assert_eq!(scores.applies.as_ref().is_some_and(|applies| applies[column]), named.applies);
                }
            }
            assert!(served.scores(vec![1.0; 3], 2).is_err());
        }
    }
}
