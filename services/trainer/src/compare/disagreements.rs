//! The examples that two versions answer differently.

use graft_proto::v1::{ComparedAnswer, ComparedLabel, Disagreement};

use super::{
    answers::{Answers, Columns, Given},
    split::TestSplit,
};
use crate::paging::Page;

/// Examples that are answered differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disagreements {
    /// How many there are.
    pub count: u64,
    /// Those about which one of the two is surest, the surest first; no more than a message holds.
    pub named: Vec<Disagreement>,
}

/// Find the examples that the two answer differently, and name at most `most`. With the answers comes whether each is right.
pub fn find(split: &TestSplit, columns: &Columns, versions: [(&Answers, &[bool]); 2], most: usize) -> Disagreements {
    let [first, second] = versions.map(|(answers, _)| answers);
    let mut differ = differing(first, second);
    differ.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()).then(a.row.cmp(&b.row)));
    let count = differ.len() as u64;
    let truth = split.truth.truth();
    let describe = |found: &Differing| {
        let name = split.snapshot.name(split.snapshot.plan.test[found.row]);
        let answer = |at: usize| {
            let (answers, right) = versions[at];
            answer(answers, columns, found.row, right[found.row], found.confidences[at])
        };
        Disagreement {
            id: name.id,
            hash: name.hash,
            labels: truth.of(found.row).iter().map(|label| columns.labels[*label as usize].clone()).collect(),
            first: Some(answer(0)),
            second: Some(answer(1)),
        }
    };
    let mut named = differ.iter().take(most).map(describe).collect();
    Page::cut_by_bytes(&mut named, String::new(), |disagreement| &disagreement.hash);
    Disagreements { count, named }
}

/// An example that is answered differently.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Differing {
    row: usize,
    /// How sure each of the two is.
    confidences: [f32; 2],
}

impl Differing {
    fn confidence(&self) -> f32 {
        self.confidences[0].max(self.confidences[1])
    }
}

fn differing(first: &Answers, second: &Answers) -> Vec<Differing> {
    match (&first.given, &second.given) {
        (Given::One(a), Given::One(b)) => {
            let rows = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b);
            let rows = rows.map(|(row, (a, b))| Differing {
                row,
                confidences: [first.probability(row, *a), second.probability(row, *b)],
            });
            rows.collect()
        }
        (Given::Sets(a), Given::Sets(b)) => {
            let rows = a.chunks_exact(first.columns).zip(b.chunks_exact(first.columns)).enumerate();
            let rows = rows.filter(|(_, (a, b))| a != b);
            rows.map(|(row, sets)| Differing { row, confidences: surest(row, sets, [first, second]) }).collect()
        }
        // Both are measured on the same kind of examples.
        _ => Vec::new(),
    }
}

/// How sure each version is of its surest answer, yes or no, about a label on which they differ.
fn surest(row: usize, (a, b): (&[bool], &[bool]), versions: [&Answers; 2]) -> [f32; 2] {
    let differ = a.iter().zip(b).zip(0..).filter(|((a, b), _)| a != b);
    let mut most = [0.0f32; 2];
    for ((a, b), column) in differ {
        for ((most, answers), given) in most.iter_mut().zip(versions).zip([*a, *b]) {
            let probability = answers.probability(row, column);
            *most = most.max(if given { probability } else { 1.0 - probability });
        }
    }
    most
}

fn answer(answers: &Answers, columns: &Columns, row: usize, right: bool, confidence: f32) -> ComparedAnswer {
    let mut given = answers.labels(row);
    given.sort_by(|a, b| answers.probability(row, *b).total_cmp(&answers.probability(row, *a)).then(a.cmp(b)));
    let label = |column: &u32| ComparedLabel {
        label: columns.labels[*column as usize].clone(),
        probability: f64::from(answers.probability(row, *column)),
    };
    ComparedAnswer { labels: given.iter().map(label).collect(), right, confidence: f64::from(confidence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_surest_comes_first_and_agreement_never() {
        let answers = |probabilities: &[f32], given: &[u32]| Answers {
            probabilities: probabilities.to_vec(),
            given: Given::One(given.to_vec()),
            columns: 2,
        };
        let first = answers(&[0.9, 0.1, 0.6, 0.4, 0.7, 0.3], &[0, 0, 0]);
        let second = answers(&[0.8, 0.2, 0.05, 0.95, 0.4, 0.6], &[0, 1, 1]);
        let found = differing(&first, &second);
        assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found[0].confidences, [0.6, 0.95]);
        assert!(found[0].confidence() > found[1].confidence());
    }

    #[test]
    fn of_sets_the_labels_count_on_which_they_differ() {
        let answers = |probabilities: &[f32], given: &[bool]| Answers {
            probabilities: probabilities.to_vec(),
            given: Given::Sets(given.to_vec()),
            columns: 3,
        };
        let first = answers(&[0.9, 0.25, 0.5, 0.9, 0.1, 0.1], &[true, false, true, true, false, false]);
        let second = answers(&[0.8, 0.75, 0.25, 0.6, 0.1, 0.1], &[true, true, false, true, false, false]);
        assert_eq!(differing(&first, &second), [Differing { row: 0, confidences: [0.75, 0.75] }]);
    }
}
