//! What a version says of examples. Versions may know different labels: they are compared by their names, over the labels of the
//! examples and those others that either of the two gives.

use std::collections::{BTreeSet, HashMap};

use crate::{
    evaluate::{predictions, sets},
    fit::{Head, Truth},
};

/// The labels that are given, by a head's own numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// One for each example.
    One(Vec<u32>),
    /// Any number: `[examples, classes]`.
    Sets(Vec<bool>),
}

/// The labels that two versions are compared over, numbered: first those of the examples, by the same numbers.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The labels.
    pub labels: Vec<String>,
    numbers: HashMap<String, u32>,
}

/// What a version says of each example, over the columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// `[examples, columns]`; 0 for a label that the version does not know.
    pub probabilities: Vec<f32>,
    /// The labels that are given, by their columns.
    pub given: Given,
    /// How many columns there are.
    pub columns: usize,
}

/// The labels that a head gives to examples: its probabilities `own` are `[examples, classes]`.
pub fn given(own: &[f32], weights: &Head, multi_label: bool) -> Given {
    match weights.thresholds() {
        Some(thresholds) if multi_label => Given::Sets(sets::given(own, thresholds)),
        _ => Given::One(predictions(own, weights.classes())),
    }
}

impl Columns {
    /// Number the labels of the examples, and those that the versions give, which have `labels` of their own.
    pub fn new(examples: &[String], versions: [(&[String], &Given); 2]) -> Columns {
        let mut labels = examples.to_vec();
        let known: BTreeSet<&String> = examples.iter().collect();
        let others = versions.into_iter().flat_map(|(labels, given)| given.labels(labels));
        let others: BTreeSet<&String> = others.filter(|label| !known.contains(label)).collect();
        labels.extend(others.into_iter().cloned());
        let numbers = labels.iter().zip(0..).map(|(label, number)| (label.clone(), number)).collect();
        Columns { labels, numbers }
    }

    fn of(&self, label: &str) -> Option<u32> {
        self.numbers.get(label).copied()
    }
}

impl Given {
    /// The labels that are given at least once.
    fn labels<'a>(&self, labels: &'a [String]) -> Vec<&'a String> {
        let mut once = vec![false; labels.len()];
        match self {
            Given::One(classes) => classes.iter().for_each(|class| once[*class as usize] = true),
            Given::Sets(given) => given.iter().enumerate().filter(|(_, given)| **given).for_each(|(at, _)| {
                once[at % labels.len()] = true;
            }),
        }
        labels.iter().zip(once).filter(|(_, once)| *once).map(|(label, _)| label).collect()
    }
}

impl Answers {
    /// Put what a version says over its own `labels` into the columns of these.
    pub fn new(own: &[f32], given: &Given, labels: &[String], columns: &Columns) -> Answers {
        let (count, into) = (columns.labels.len(), labels.iter().map(|label| columns.of(label)).collect::<Vec<_>>());
        let probabilities = spread(own, &into, count, 0.0);
        let given = match given {
            // What is given has a column.
            Given::One(classes) => {
                Given::One(classes.iter().map(|class| into[*class as usize].unwrap_or_default()).collect())
            }
            Given::Sets(given) => Given::Sets(spread(given, &into, count, false)),
        };
        Answers { probabilities, given, columns: count }
    }

    /// Whether each answer is right; a set is if it is the very set of the example.
    pub fn right(&self, truth: Truth<'_>) -> Vec<bool> {
        match &self.given {
            Given::One(classes) => classes.iter().enumerate().map(|(row, class)| truth.of(row) == [*class]).collect(),
            Given::Sets(_) => (0..truth.len()).map(|row| self.labels(row) == truth.of(row)).collect(),
        }
    }

    /// The labels that are given to an example, by their columns, sorted.
    pub fn labels(&self, row: usize) -> Vec<u32> {
        match &self.given {
            Given::One(classes) => vec![classes[row]],
            Given::Sets(given) => {
                let given = &given[row * self.columns..(row + 1) * self.columns];
                given.iter().zip(0..).filter(|(given, _)| **given).map(|(_, column)| column).collect()
            }
        }
    }

    /// The probability of a label.
    pub fn probability(&self, row: usize, column: u32) -> f32 {
        self.probabilities[row * self.columns + column as usize]
    }
}

/// `[rows, into.len()]` as `[rows, columns]`: each column goes where `into` says, or nowhere.
fn spread<T: Copy>(own: &[T], into: &[Option<u32>], columns: usize, nothing: T) -> Vec<T> {
    let classes = into.len().max(1);
    let mut spread = vec![nothing; own.len() / classes * columns];
    for (own, spread) in own.chunks_exact(classes).zip(spread.chunks_exact_mut(columns.max(1))) {
        for (value, into) in own.iter().zip(into) {
            if let Some(into) = into {
                spread[*into as usize] = *value;
            }
        }
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::LabelSets;

    fn labels(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn versions_are_compared_by_the_names_of_labels() {
        // The first knows no `c`; the second has another order, and knows an `x`, which it gives, and a `y`, which it does not.
        let (first, second) = (labels("ab"), labels("cxyab"));
        let given = [Given::One(vec![0, 1]), Given::One(vec![1, 0])];
        let columns = Columns::new(&labels("abc"), [(&first, &given[0]), (&second, &given[1])]);
        assert_eq!(columns.labels, labels("abcx"));
        let answers = Answers::new(&[0.9, 0.1, 0.2, 0.8], &given[0], &first, &columns);
        assert_eq!(answers.probabilities, [0.9, 0.1, 0.0, 0.0, 0.2, 0.8, 0.0, 0.0]);
        assert_eq!(answers.right(Truth::One(&[0, 2])), [true, false]);
        let own = [0.1, 0.5, 0.2, 0.1, 0.1, 0.6, 0.1, 0.1, 0.1, 0.1];
        let answers = Answers::new(&own, &given[1], &second, &columns);
        assert_eq!(answers.probabilities, [0.1, 0.1, 0.1, 0.5, 0.1, 0.1, 0.6, 0.1]);
        assert_eq!((answers.labels(0), answers.probability(0, 3)), (vec![3], 0.5));
        assert_eq!(answers.right(Truth::One(&[0, 2])), [false, true]);
    }

    #[test]
    fn a_set_is_right_if_it_is_the_very_set() {
        let (own, given) = ([0.0; 6], Given::Sets(vec![true, false, true, true, false, false]));
        let names = labels("bd");
        let columns = Columns::new(&labels("abc"), [(&names, &given), (&names, &given)]);
        assert_eq!(columns.labels, labels("abcd"));
        let answers = Answers::new(&own, &given, &names, &columns);
        assert_eq!([0, 1, 2].map(|row| answers.labels(row)), [vec![1], vec![1, 3], vec![]]);
        let truth = LabelSets::new([&[1][..], &[1], &[]]);
        assert_eq!(answers.right(Truth::Sets(truth.rows())), [true, false, true]);
    }
}
