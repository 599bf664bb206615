//! What counts of right and wrong answers say.

use std::collections::HashMap;

use super::super::{mean, ratio};

/// The answers to rows, of each only the labels that were given or are right: most labels are neither.
#[derive(Clone, Debug)]
pub struct Answers {
    classes: usize,
    /// One more than there are rows.
    starts: Vec<usize>,
    marks: Vec<Mark>,
}

/// A label that was given, or is right, or both.
#[derive(Clone, Copy, Debug)]
struct Mark {
    label: u32,
    given: bool,
    right: bool,
}

/// Counts of each label, from which the figures below follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCounts {
    /// Rows that have the label and were given it.
    hits: Vec<u64>,
    /// Rows that have the label.
    support: Vec<u64>,
    /// Rows that were given the label.
    given: Vec<u64>,
    /// Rows that were given what they have, no more and no less.
    exact: u64,
    rows: u64,
}

/// How a head did on one label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelFigures {
    /// Of the rows that were given the label, the part that has it.
    pub precision: f64,
    /// Of the rows that have the label, the part that was given it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Rows that have it and were given it.
    pub true_positives: u64,
    /// Rows that do not have it and were given it.
    pub false_positives: u64,
    /// Rows that have it and were not given it.
    pub false_negatives: u64,
    /// Rows that neither have it nor were given it.
    pub true_negatives: u64,
}

impl Answers {
    /// What was given against what is right, both `[rows, classes]`.
    pub fn new(given: &[bool], truth: &[bool], classes: usize) -> Answers {
        let mut answers = Answers { classes, starts: vec![0], marks: Vec::new() };
        for (given, truth) in given.chunks_exact(classes).zip(truth.chunks_exact(classes)) {
            let both = given.iter().zip(truth).enumerate();
            let marks = both.filter(|(_, (given, right))| **given || **right);
            answers.marks.extend(marks.map(|(label, (given, right))| Mark {
                label: label as u32,
                given: *given,
                right: *right,
            }));
            answers.starts.push(answers.marks.len());
        }
        answers
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Counts, row `i` counted `weight(i)` times.
    pub fn count(&self, weight: impl Fn(usize) -> u64) -> SetCounts {
        let none = vec![0; self.classes];
        let mut counts = SetCounts { hits: none.clone(), support: none.clone(), given: none, exact: 0, rows: 0 };
        for row in 0..self.rows() {
            let (weight, mut exact) = (weight(row), true);
            for mark in &self.marks[self.starts[row]..self.starts[row + 1]] {
                let label = mark.label as usize;
                counts.support[label] += if mark.right { weight } else { 0 };
                counts.given[label] += if mark.given { weight } else { 0 };
                counts.hits[label] += if mark.right && mark.given { weight } else { 0 };
                exact &= mark.right == mark.given;
            }
            counts.rows += weight;
            counts.exact += if exact { weight } else { 0 };
        }
        counts
    }

    /// The part of the rows with the most frequent set of labels: what always giving that set would be exact on.
    pub fn majority_share(&self) -> f64 {
        let mut sets: HashMap<Vec<u32>, u64> = HashMap::new();
        for row in 0..self.rows() {
            let marks = &self.marks[self.starts[row]..self.starts[row + 1]];
            let set = marks.iter().filter(|mark| mark.right).map(|mark| mark.label).collect();
            *sets.entry(set).or_default() += 1;
        }
        ratio(sets.into_values().max().unwrap_or(0), self.rows() as u64)
    }
}

impl SetCounts {
    /// The part of the rows that were given exactly the labels that they have; scikit-learn's accuracy of sets.
    pub fn exact(&self) -> f64 {
        ratio(self.exact, self.rows)
    }

    /// The part of all answers, one a label and row, that is wrong.
    pub fn hamming_loss(&self) -> f64 {
        let wrong = |label: LabelFigures| label.false_positives + label.false_negatives;
        ratio(self.labels().map(wrong).sum(), self.rows * self.hits.len() as u64)
    }

    /// Labels of a row, on average.
    pub fn cardinality(&self) -> f64 {
        ratio(self.support.iter().sum(), self.rows)
    }

    /// Of all labels that were given, the part that is right.
    pub fn micro_precision(&self) -> f64 {
        ratio(self.hits.iter().sum(), self.given.iter().sum())
    }

    /// Of all labels that rows have, the part that was given.
    pub fn micro_recall(&self) -> f64 {
        ratio(self.hits.iter().sum(), self.support.iter().sum())
    }

    /// The harmonic mean of both.
    pub fn micro_f1(&self) -> f64 {
        let both = self.given.iter().sum::<u64>() + self.support.iter().sum::<u64>();
        ratio(2 * self.hits.iter().sum::<u64>(), both)
    }

    /// The mean of the labels' precision.
    pub fn macro_precision(&self) -> f64 {
        mean(self.labels().map(|label| label.precision))
    }

    /// The mean of the labels' recall.
    pub fn macro_recall(&self) -> f64 {
        mean(self.labels().map(|label| label.recall))
    }

    /// The mean of the labels' F1.
    pub fn macro_f1(&self) -> f64 {
        mean(self.labels().map(|label| label.f1))
    }

    /// Each label on its own.
    pub fn labels(&self) -> impl Iterator<Item = LabelFigures> {
        let columns = self.hits.iter().zip(&self.support).zip(&self.given);
        columns.map(|((&hits, &support), &given)| LabelFigures {
            precision: ratio(hits, given),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + given),
            true_positives: hits,
            false_positives: given - hits,
            false_negatives: support - hits,
            true_negatives: self.rows + hits - support - given,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_label_by_label() {
        let truth = [true, false, true, true, false, false];
        let given = [true, true, true, false, false, false];
        let answers = Answers::new(&given, &truth, 2);
        let counts = answers.count(|_| 1);
        let labels: Vec<LabelFigures> = counts.labels().collect();
        assert_eq!((labels[0].true_positives, labels[0].true_negatives), (2, 1));
        assert_eq!((labels[1].false_positives, labels[1].false_negatives, labels[1].true_negatives), (1, 1, 1));
        assert_eq!((counts.exact(), counts.hamming_loss()), (1.0 / 3.0, 2.0 / 6.0));
        assert_eq!((counts.micro_f1(), counts.macro_f1(), counts.cardinality()), (2.0 / 3.0, 0.5, 1.0));
        assert_eq!(answers.majority_share(), 1.0 / 3.0);
    }

    #[test]
    fn a_weight_counts_a_row_so_often_and_nothing_is_0() {
        let twice = Answers::new(&[true, false], &[true, true], 1).count(|row| if row == 0 { 2 } else { 1 });
        assert_eq!(twice, Answers::new(&[true, true, false], &[true; 3], 1).count(|_| 1));
        let nothing = Answers::new(&[], &[], 2).count(|_| 1);
        assert_eq!((nothing.exact(), nothing.micro_f1(), nothing.hamming_loss()), (0.0, 0.0, 0.0));
    }
}
