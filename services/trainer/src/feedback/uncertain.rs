//! The examples that a head is least sure of, out of any number that are shown to it a block at a time.
//!
//! Of classes that exclude each other, it is the less sure the less the most probable one is ahead of the next: the margin
//! (Scheffer, Decomain and Wrobel, Active hidden Markov models for information extraction, 2001). Where each label stands on
//! its own, it is the less sure the nearer one of them is to its threshold.

use graft_proto::v1::Prediction;

use crate::fit::head::{Head, top_k};

/// An example that a head is not sure of.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its position among the examples.
    pub at: usize,
    /// How sure the head is, 0 to 1.
    pub margin: f32,
    /// The classes that it cannot decide between, the more probable first; or the label that it cannot decide on.
    pub classes: Vec<usize>,
    /// Their probabilities.
    pub probabilities: Vec<f32>,
    /// The embedding.
    pub row: Vec<f32>,
}

/// The least sure so far. It holds twice as many as it is asked for, at the most.
#[derive(Debug)]
pub struct Uncertain<'a> {
    head: &'a Head,
    most: usize,
    kept: Vec<Candidate>,
    /// What is surer than this is not among them.
    least_sure: f32,
}

impl<'a> Uncertain<'a> {
    /// Keep the `most` that `head` is least sure of.
    pub fn new(head: &'a Head, most: usize) -> Uncertain<'a> {
        Uncertain { head, most: most.max(1), kept: Vec::new(), least_sure: f32::INFINITY }
    }

    /// Look at embeddings, `[at, dimension]`.
    ///
    /// # Errors
    /// Numbers that are not as many.
    pub fn look(&mut self, at: &[usize], numbers: Vec<f32>) -> Result<(), candle_core::Error> {
        let dimension = self.head.dimension();
        let mut logits = self.head.logits(numbers.clone(), at.len())?;
        let rows = logits.chunks_exact_mut(self.head.classes().max(1)).zip(numbers.chunks_exact(dimension.max(1)));
        for (at, (logits, row)) in at.iter().zip(rows) {
            self.head.probabilities(logits);
            let (margin, classes) = undecided(logits, self.head.thresholds());
            if margin <= self.least_sure {
                let probabilities = classes.iter().map(|class| logits[*class]).collect();
                self.kept.push(Candidate { at: *at, margin, classes, probabilities, row: row.to_vec() });
            }
            if self.kept.len() >= 2 * self.most {
                self.cut();
            }
        }
        Ok(())
    }

    fn cut(&mut self) {
        // Of equals the first: in whatever order they are shown, the same are kept.
        self.kept.sort_unstable_by(|a, b| a.margin.total_cmp(&b.margin).then(a.at.cmp(&b.at)));
        self.kept.truncate(self.most);
        if self.kept.len() == self.most {
            self.least_sure = self.kept.last().map_or(f32::INFINITY, |last| last.margin);
        }
    }

    /// The least sure, in this order.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.kept
    }
}

/// How sure a head is that gives these probabilities, and the classes that it cannot decide between.
fn undecided(probabilities: &[f32], thresholds: Option<&[f32]>) -> (f32, Vec<usize>) {
    if let Some(thresholds) = thresholds {
        let from_threshold = |class: usize| (probabilities[class] - thresholds[class]).abs();
        let nearest = (0..probabilities.len()).min_by(|a, b| from_threshold(*a).total_cmp(&from_threshold(*b)));
        return nearest.map_or((1.0, Vec::new()), |class| (from_threshold(class), vec![class]));
    }
    match top_k(probabilities, 2)[..] {
        [first, second] => (probabilities[first] - probabilities[second], vec![first, second]),
        ref only => (1.0, only.to_vec()),
    }
}

impl Candidate {
    /// What a head with these labels says.
    pub fn predictions(&self, labels: &[String], thresholds: Option<&[f32]>) -> Vec<Prediction> {
        let named = self.classes.iter().zip(&self.probabilities).map(|(class, probability)| {
            let threshold = thresholds.map(|thresholds| thresholds[*class]);
            Prediction {
                label: labels.get(*class).cloned().unwrap_or_default(),
                probability: *probability,
                threshold,
                applies: threshold.is_some_and(|threshold| *probability >= threshold),
            }
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fit::head::LinearHead;

    fn head() -> Head {
        Head::Linear(LinearHead { weights: vec![1.0, -1.0], bias: vec![0.0; 2], dimension: 1, classes: 2 })
    }

    proptest! {
        #[test]
        fn the_least_sure_are_kept_in_whatever_order_they_come(
            numbers in prop::collection::vec(-3i8..3, 1..60), most in 1usize..12, turn in any::<prop::sample::Index>(),
        ) {
            let head = head();
            let rows: Vec<(usize, f32)> = numbers.iter().map(|number| f32::from(*number)).enumerate().collect();
            let mut turned = rows.clone();
            turned.rotate_left(turn.index(rows.len()));
            let kept = |rows: &[(usize, f32)]| {
                let mut uncertain = Uncertain::new(&head, most);
                for some in rows.chunks(7) {
                    let at: Vec<usize> = some.iter().map(|row| row.0).collect();
                    uncertain.look(&at, some.iter().map(|row| row.1).collect()).unwrap();
                }
                uncertain.finish().into_iter().map(|candidate| candidate.at).collect::<Vec<_>>()
            };
            let mut expected = rows.clone();
            expected.sort_by(|a, b| a.1.abs().total_cmp(&b.1.abs()).then(a.0.cmp(&b.0)));
            let expected: Vec<usize> = expected.into_iter().take(most).map(|row| row.0).collect();
            prop_assert_eq!(kept(&rows), expected.clone());
            prop_assert_eq!(kept(&turned), expected);
        }
    }

    #[test]
    fn a_label_of_its_own_is_undecided_at_its_threshold() {
        let (margin, classes) = undecided(&[0.5, 0.31, 0.9], Some(&[0.9, 0.3, 0.5]));
        assert!(classes == [1] && (margin - 0.01).abs() < 1e-6);
        let (margin, classes) = undecided(&[0.2, 0.5, 0.3], None);
        assert!(classes == [1, 2] && (margin - 0.2).abs() < 1e-6);
        assert_eq!(undecided(&[1.0], None), (1.0, vec![0]));
    }
}
