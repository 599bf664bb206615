//! The confidence below which an answer is no answer: the probability of the predicted class is the plain and strong
//! measure of it (Hendrycks and Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples").

use super::most_probable;

/// The part of the right answers on the validation split that must stay answers: what the literature usually compares at.
pub const KEPT: f64 = 0.95;
/// Right answers from which a threshold is chosen: with fewer, a twentieth of them is less than one.
pub const LEAST_RIGHT: usize = 20;

/// What a threshold does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rejection {
    /// The part of all rows that is still answered.
    pub coverage: f64,
    /// The part of the answered rows that is right.
    pub accuracy: f64,
    /// The part of the wrong answers that is rejected.
    pub wrong_rejected: f64,
    /// The part of the right answers that is rejected.
    pub right_rejected: f64,
}

/// The highest threshold that leaves [`KEPT`] of the right answers; `None` where there are fewer than [`LEAST_RIGHT`].
pub fn threshold(probabilities: &[f32], truth: &[u32], classes: usize) -> Option<f32> {
    let rows = probabilities.chunks_exact(classes).zip(truth);
    let right = rows.filter(|(row, class)| most_probable(row) == **class as usize);
    let mut confidences: Vec<f32> = right.map(|(row, class)| row[*class as usize]).collect();
    confidences.sort_by(f32::total_cmp);
    let rejected = (confidences.len() as f64 * (1.0 - KEPT)).floor() as usize;
    if confidences.len() < LEAST_RIGHT { None } else { confidences.get(rejected).copied() }
}

/// What rejecting the rows whose confidence is below `threshold` does.
pub fn measure(probabilities: &[f32], truth: &[u32], classes: usize, threshold: f32) -> Rejection {
    // Counted by right or not, and by answered or not.
    let mut counts = [[0u64; 2]; 2];
    for (row, class) in probabilities.chunks_exact(classes).zip(truth) {
        let predicted = most_probable(row);
        counts[usize::from(predicted == *class as usize)][usize::from(row[predicted] >= threshold)] += 1;
    }
    let [[wrong_rejected, wrong], [right_rejected, right]] = counts;
    Rejection {
        coverage: super::ratio(wrong + right, truth.len() as u64),
        accuracy: super::ratio(right, wrong + right),
        wrong_rejected: super::ratio(wrong_rejected, wrong + wrong_rejected),
        right_rejected: super::ratio(right_rejected, right + right_rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_the_right_answers_may_go() {
        let confidences: Vec<f32> = (0..40).map(|row| 0.55 + 0.01 * row as f32).collect();
        let probabilities: Vec<f32> = confidences.iter().flat_map(|p| [*p, 1.0 - p]).collect();
        // The two that are wrong are no measure.
        let truth: Vec<u32> = (0..40).map(|row| u32::from(row < 2)).collect();
        let found = threshold(&probabilities, &truth, 2).unwrap();
        assert_eq!(found, confidences[3], "one of 38 may go");
        let rejection = measure(&probabilities, &truth, 2, found);
        assert_eq!((rejection.coverage, rejection.accuracy, rejection.wrong_rejected), (37.0 / 40.0, 1.0, 1.0));
        assert_eq!(rejection.right_rejected, 1.0 / 38.0);
        assert_eq!(threshold(&probabilities[..40], &truth[..20], 2), None, "18 right ones are too few");
        assert_eq!(measure(&[], &[], 2, 0.5), Rejection::default());
    }
}
