//! What probabilities say of the right labels.

use super::super::{loss::LEAST, mean};

/// The negative logarithm of the probability of what is right, in nats, on average over the labels of each row: that it has the
/// label, or has it not.
pub fn log_losses(probabilities: &[f32], truth: &[bool], classes: usize) -> Vec<f64> {
    let rows = probabilities.chunks_exact(classes).zip(truth.chunks_exact(classes));
    rows.map(|(row, truth)| {
        let right = |(probability, has): (&f32, &bool)| {
            let probability = f64::from(*probability).clamp(LEAST, 1.0 - LEAST);
            -(if *has { probability } else { 1.0 - probability }).ln()
        };
        mean(row.iter().zip(truth).map(right))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_counts_the_same_and_a_sure_mistake_is_bounded() {
        let found = log_losses(&[0.5, 0.5, 1.0, 0.0], &[true, false, false, false], 2);
        assert!((found[0] - 2f64.ln()).abs() < 1e-12);
        assert!((found[1] - 15.942_385_152_9 / 2.0).abs() < 1e-6, "{found:?}");
    }
}
