//! Measures a head on the examples held out for it. The definitions are scikit-learn's; a ratio of nothing is 0.
//!
//! Everything is a function of plain slices: `probabilities`, `[rows, classes]` row by row, and `truth`, the class of each
//! row.
//!
//! # Layout
//! - [`counts`]: what counts of right and wrong say: accuracy, precision, recall, F1, confusion.
//! - [`loss`]: what probabilities say: log loss, top-k.
//! - [`ranking`]: what their order says: ROC AUC, average precision; also of several labels an example.
//! - [`calibration`]: whether probabilities can be believed, and the temperature that makes them so.
//! - [`unknown`]: the confidence below which an answer is no answer.
//! - [`bootstrap`]: how sure the figures are.
//! - [`mistakes`]: the surest wrong answers. [`mcnemar`]: whether one of two heads is better, or was lucky.
//! - [`label_errors`]: labels that are likely wrong. [`forecast`]: what more data would give.
//! - [`sets`]: all of it for heads that give each example a set of labels.
//! - [`duplicates`]: pictures of the test split that are nearly in the train split.

pub mod bootstrap;
pub mod calibration;
pub mod counts;
pub mod duplicates;
pub mod forecast;
pub mod label_errors;
pub mod loss;
pub mod mcnemar;
pub mod mistakes;
pub mod ranking;
pub mod sets;
pub mod unknown;

/// The most probable class of each row; of equals the first.
pub fn predictions(probabilities: &[f32], classes: usize) -> Vec<u32> {
    probabilities.chunks_exact(classes).map(|row| most_probable(row) as u32).collect()
}

/// The largest of `row`; of equals the first.
pub fn most_probable(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The mean; 0 of nothing.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for value in values {
        sum += value;
        count += 1;
    }
    if count == 0 { 0.0 } else { sum / count as f64 }
}
