//! All that a head gives for many embeddings, as numbers.

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

#[cfg(test)]
mod tests {
    use crate::{
        classify::{Wanted, head::tests::served},
        fit::head::{Head, LinearHead},
    };

    #[test]
    fn scores_are_those_that_a_classification_names() {
        let linear = LinearHead { weights: vec![1.0, -1.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 };
        for weights in [Head::Linear(linear.clone()), Head::Sigmoid { linear, thresholds: vec![0.6, 0.3] }] {
            let served = served("h", weights, None);
            let scores = served.scores(&[1.0, -2.0, 0.1], 3).unwrap();
            assert_eq!(scores.logits, [1.0, -0.5, -2.0, 2.5, 0.1, 0.4]);
            let wanted = Wanted { top_k: 2, detect_unknown: false };
            for (row, embedding) in [1.0, -2.0, 0.1].into_iter().enumerate() {
                for named in served.classify(&[embedding], 1, wanted).unwrap().remove(0).predictions {
                    let column = 2 * row + usize::from(named.label == "b");
                    assert!((scores.probabilities[column] - named.probability).abs() < 1e-6);
                    assert_eq!(scores.applies.as_ref().is_some_and(|applies| applies[column]), named.applies);
                }
            }
            assert!(served.scores(&[1.0; 3], 2).is_err());
        }
    }
}
