//! How good the answers of two versions are.

use std::collections::HashSet;

use graft_proto::v1::{ComparedClass, ComparedHead, Head};

use super::{
    answers::{Answers, Columns, Given},
    name,
    split::TestSplit,
};
use crate::{
    evaluate::{
        counts::Counts,
        loss::log_loss,
        sets::{self, counts::SetCounts},
    },
    fit::Truth,
};

/// Counts of right and wrong answers.
enum Counted {
    One(Counts),
    Sets(SetCounts),
}

impl Counted {
    fn new(answers: &Answers, truth: Truth<'_>) -> Counted {
        match (&answers.given, truth) {
            (Given::One(predicted), Truth::One(truth)) => Counted::One(Counts::new(predicted, truth, answers.columns)),
            (Given::Sets(given), truth) => {
                let truth = truth.dense(answers.columns);
                Counted::Sets(sets::counts::Answers::new(given, &truth, answers.columns).count(|_| 1))
            }
            (Given::One(predicted), Truth::Sets(_)) => Counted::One(Counts::new(predicted, &[], answers.columns)),
        }
    }

    /// The F1 and the examples of each column.
    fn classes(&self) -> Vec<(f64, u64)> {
        match self {
            Counted::One(counts) => counts.classes().map(|class| (class.f1, class.support)).collect(),
            Counted::Sets(counts) => {
                counts.labels().map(|label| (label.f1, label.true_positives + label.false_negatives)).collect()
            }
        }
    }
}

/// Examples that both answered rightly, the first alone, the second alone, neither.
pub fn tally(first: &[bool], second: &[bool]) -> [u64; 4] {
    let mut counts = [0; 4];
    for (first, second) in first.iter().zip(second) {
        counts[2 * usize::from(!first) + usize::from(!second)] += 1;
    }
    counts
}

/// How a version does.
pub fn compared(
    head: &Head,
    answers: &Answers,
    columns: &Columns,
    split: &TestSplit,
    fitted_on: Option<u64>,
) -> ComparedHead {
    let truth = split.truth.truth();
    let (accuracy, macro_f1, micro_f1) = match Counted::new(answers, truth) {
        Counted::One(counts) => (counts.accuracy(), counts.macro_f1(), None),
        Counted::Sets(counts) => (counts.exact(), counts.macro_f1(), Some(counts.micro_f1())),
    };
    let log_loss = match truth {
        Truth::One(truth) => log_loss(&answers.probabilities, truth, answers.columns),
        Truth::Sets(_) => {
            let losses = sets::loss::log_losses(&answers.probabilities, &truth.dense(answers.columns), answers.columns);
            losses.iter().sum::<f64>() / losses.len().max(1) as f64
        }
    };
    let known: HashSet<&String> = head.labels.iter().collect();
    let counts = truth.counts(answers.columns);
    let unknown = columns.labels.iter().zip(counts).filter(|(label, count)| *count > 0 && !known.contains(label));
    ComparedHead {
        head: name(head),
        accuracy,
        macro_f1,
        log_loss,
        micro_f1,
        unknown_labels: unknown.map(|(label, _)| label.clone()).collect(),
        fitted_on,
    }
}

/// How both do on each class.
pub fn classes(heads: &[Head; 2], answers: [&Answers; 2], columns: &Columns, split: &TestSplit) -> Vec<ComparedClass> {
    let known = [0, 1].map(|at| heads[at].labels.iter().collect::<HashSet<&String>>());
    let counted = answers.map(|answers| Counted::new(answers, split.truth.truth()).classes());
    let class = |(column, label): (usize, &String)| {
        let f1 = |at: usize| known[at].contains(label).then_some(counted[at][column].0);
        ComparedClass { label: label.clone(), support: counted[0][column].1, first_f1: f1(0), second_f1: f1(1) }
    };
    columns.labels.iter().enumerate().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_example_is_counted_once() {
        let (first, second) = ([true, true, true, false, false], [true, true, false, true, false]);
        assert_eq!(tally(&first, &second), [2, 1, 1, 1]);
    }
}
