//! Labels that are likely missing, and labels that likely should not be there: confident learning for each label, whose two
//! answers, yes and no, are two classes.

use super::super::label_errors;

/// A label of a row that is likely wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelError {
    /// The row.
    pub row: usize,
    /// The label.
    pub label: u32,
    /// Whether the row has it; it likely should be the other way.
    pub has: bool,
    /// The probability of what the row says.
    pub given: f32,
    /// The probability of the other answer.
    pub probability: f32,
    /// How likely the row is right, -1 to 1.
    pub margin: f32,
}

/// The labels that are likely wrong, the likeliest first; of equals the first row and label. `probabilities` must come from heads
/// that were not fitted on the row: out of fold.
pub fn find(probabilities: &[f32], truth: &[bool], classes: usize) -> Vec<LabelError> {
    let mut errors = Vec::new();
    for label in 0..classes {
        let column = probabilities.iter().skip(label).step_by(classes);
        let answers: Vec<f32> = column.flat_map(|probability| [1.0 - probability, *probability]).collect();
        let has: Vec<u32> = truth.iter().skip(label).step_by(classes).map(|has| u32::from(*has)).collect();
        errors.extend(label_errors::find(&answers, &has, 2).into_iter().map(|error| LabelError {
            row: error.row,
            label: label as u32,
            has: has[error.row] == 1,
            given: error.given,
            probability: error.probability,
            margin: error.margin,
        }));
    }
    errors.sort_by(|a, b| a.margin.total_cmp(&b.margin).then((a.row, a.label).cmp(&(b.row, b.label))));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_label_and_one_too_many_are_found() {
        let mut truth: Vec<bool> = [true, false, false, true].repeat(10);
        let probabilities: Vec<f32> = truth.iter().map(|has| if *has { 0.9 } else { 0.2 }).collect();
        // Rows 2 and 10 lose the first label, row 18 gets the second.
        truth[2 * 2] = false;
        truth[10 * 2] = false;
        truth[18 * 2 + 1] = true;
        let found = find(&probabilities, &truth, 2);
        let found: Vec<_> = found.iter().map(|error| (error.row, error.label, error.has)).collect();
        assert_eq!(found, [(2, 0, false), (10, 0, false), (18, 1, true)]);
    }
}
