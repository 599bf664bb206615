//! What counts of right and wrong answers say.

use super::{mean, ratio};

/// Counts of each class, from which the figures below follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the class that were predicted so.
    hits: Vec<u64>,
    /// Rows of the class.
    support: Vec<u64>,
    /// Rows predicted to be of the class.
    predicted: Vec<u64>,
}

/// How a head did on one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassCounts {
    /// Of what was predicted to be this class, the part that was.
    pub precision: f64,
    /// Of what was this class, the part that was predicted so.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
    /// Rows that were predicted to be of it.
    pub predicted: u64,
}

impl Counts {
    /// Count `predicted` against `truth`, both classes below `classes`.
    pub fn new(predicted: &[u32], truth: &[u32], classes: usize) -> Counts {
        Counts::weighted(predicted, truth, classes, |_| 1)
    }

    /// The same, with row `i` counted `weight(i)` times.
    pub fn weighted(predicted: &[u32], truth: &[u32], classes: usize, weight: impl Fn(usize) -> u64) -> Counts {
        let mut counts = Counts { hits: vec![0; classes], support: vec![0; classes], predicted: vec![0; classes] };
        for (row, (predicted, truth)) in predicted.iter().zip(truth).enumerate() {
            let weight = weight(row);
            counts.support[*truth as usize] += weight;
            counts.predicted[*predicted as usize] += weight;
            counts.hits[*truth as usize] += if predicted == truth { weight } else { 0 };
        }
        counts
    }

    /// The part of the rows that was classified rightly.
    pub fn accuracy(&self) -> f64 {
        ratio(self.hits.iter().sum(), self.support.iter().sum())
    }

    /// The mean recall of the classes that occur.
    pub fn balanced_accuracy(&self) -> f64 {
        mean(self.classes().filter(|class| class.support > 0).map(|class| class.recall))
    }

    /// The mean precision of the classes that occur or are predicted.
    pub fn macro_precision(&self) -> f64 {
        mean(self.seen().map(|class| class.precision))
    }

    /// The mean recall of the classes that occur or are predicted.
    pub fn macro_recall(&self) -> f64 {
        mean(self.seen().map(|class| class.recall))
    }

    /// The mean F1 of the classes that occur or are predicted.
    pub fn macro_f1(&self) -> f64 {
        mean(self.seen().map(|class| class.f1))
    }

    /// The part of the rows that are of the most frequent class: what always naming that class would give.
    pub fn majority_share(&self) -> f64 {
        ratio(self.support.iter().copied().max().unwrap_or(0), self.support.iter().sum())
    }

    /// Each class on its own.
    pub fn classes(&self) -> impl Iterator<Item = ClassCounts> {
        let columns = self.hits.iter().zip(&self.support).zip(&self.predicted);
        columns.map(|((&hits, &support), &predicted)| ClassCounts {
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted),
            support,
            predicted,
        })
    }

    /// The classes that have a part in a mean: not those that neither occur nor are predicted, as in scikit-learn.
    fn seen(&self) -> impl Iterator<Item = ClassCounts> {
        self.classes().filter(|class| class.support > 0 || class.predicted > 0)
    }
}

/// Counts by right class and predicted class: row r, column p is at r * classes + p.
pub fn confusion(predicted: &[u32], truth: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes * classes];
    for (predicted, truth) in predicted.iter().zip(truth) {
        counts[*truth as usize * classes + *predicted as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are scikit-learn's: accuracy_score, f1_score(average="macro"), precision_recall_fscore_support.
    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let (predicted, truth) = ([0, 1, 1, 1, 0], [0, 0, 1, 1, 2]);
        let counts = Counts::new(&predicted, &truth, 3);
        assert!((counts.accuracy() - 0.6).abs() < 1e-9);
        assert!((counts.macro_f1() - 0.433_333_333_3).abs() < 1e-9);
        assert!((counts.majority_share() - 0.4).abs() < 1e-9);
        assert_eq!(confusion(&predicted, &truth, 3), [1, 1, 0, 0, 2, 0, 1, 0, 0]);
        let classes: Vec<ClassCounts> = counts.classes().collect();
        assert!((classes[1].precision - 2.0 / 3.0).abs() < 1e-9 && classes[1].recall == 1.0);
        assert_eq!((classes[2].precision, classes[2].f1, classes[2].support), (0.0, 0.0, 1));
    }

    #[test]
    fn a_weight_counts_a_row_so_often_and_nothing_is_0() {
        let twice = Counts::weighted(&[0, 1], &[0, 0], 2, |row| if row == 0 { 2 } else { 1 });
        assert_eq!(twice, Counts::new(&[0, 0, 1], &[0, 0, 0], 2));
        let nothing = Counts::new(&[], &[], 2);
        assert_eq!((nothing.accuracy(), nothing.macro_f1(), nothing.balanced_accuracy()), (0.0, 0.0, 0.0));
    }
}
