//! Labels that are likely wrong: confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
//! Uncertainty in Dataset Labels").
//!
//! A class's threshold is the mean probability of the class over the rows that are labelled so. A row whose probability
//! reaches the threshold of a class is counted as truly of it (of several, the most probable); where that is not the class
//! that it is labelled as, the row is off the diagonal of the joint count of given and true labels, and its label is
//! suspect.

use super::most_probable;

/// A row whose label is likely wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelError {
    /// The row.
    pub row: usize,
    /// The class that it likely is of.
    pub suggested: u32,
    /// The probability of the class that it is labelled as.
    pub given: f32,
    /// The probability of the suggested class.
    pub probability: f32,
    /// How likely the label is right, -1 to 1: its probability less that of the most probable other class.
    pub margin: f32,
}

/// The rows whose label is likely wrong, the likeliest first. `probabilities`, `[rows, classes]`, must come from heads that
/// were not fitted on the row: out of fold.
pub fn find(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<LabelError> {
    let thresholds = thresholds(probabilities, labels, classes);
    let rows = probabilities.chunks_exact(classes).zip(labels).enumerate();
    let mut errors: Vec<LabelError> = rows
        .filter_map(|(row, (probabilities, label))| {
            let reached = |class: &usize| f64::from(probabilities[*class]) >= thresholds[*class];
            let suggested =
                (0..classes).filter(reached).reduce(|a, b| if probabilities[b] > probabilities[a] { b } else { a })?;
            // A head that itself gives the label has nothing against it.
            if suggested == *label as usize || most_probable(probabilities) == *label as usize {
                return None;
            }
            let (given, probability) = (probabilities[*label as usize], probabilities[suggested]);
            let margin = given - probabilities[most_probable(probabilities)];
            Some(LabelError { row, suggested: suggested as u32, given, probability, margin })
        })
        .collect();
    errors.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
    errors
}

/// The mean probability of each class over the rows that are labelled so; infinite for a class without rows.
fn thresholds(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u64); classes];
    for (row, label) in probabilities.chunks_exact(classes).zip(labels) {
        let (sum, count) = &mut sums[*label as usize];
        *sum += f64::from(row[*label as usize]);
        *count += 1;
    }
    sums.into_iter().map(|(sum, count)| if count == 0 { f64::INFINITY } else { sum / count as f64 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_label_is_found_and_a_hard_row_is_not() {
        let mut probabilities: Vec<f32> = [[0.9, 0.1], [0.1, 0.9]].concat().repeat(10);
        let mut labels: Vec<u32> = [0, 1].repeat(10);
        labels[4] = 1;
        probabilities[10..12].copy_from_slice(&[0.55, 0.45]);
        let found = find(&probabilities, &labels, 2);
        assert_eq!(found.iter().map(|error| (error.row, error.suggested)).collect::<Vec<_>>(), [(4, 0)]);
        assert!(find(&[], &[], 2).is_empty());
    }
}
