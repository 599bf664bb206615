//! What probabilities say of the right class.

use super::mean;

/// The least probability that the log loss counts, so that one sure mistake is not infinitely bad: f32's epsilon, which
/// is what scikit-learn takes for f32 probabilities.
pub(super) const LEAST: f64 = f32::EPSILON as f64;

/// The negative logarithm of the probability of the right class of each row, in nats.
pub fn log_losses(probabilities: &[f32], truth: &[u32], classes: usize) -> Vec<f64> {
    let rows = probabilities.chunks_exact(classes).zip(truth);
    rows.map(|(row, class)| -f64::from(row[*class as usize]).clamp(LEAST, 1.0 - LEAST).ln()).collect()
}

/// The mean of [`log_losses`].
pub fn log_loss(probabilities: &[f32], truth: &[u32], classes: usize) -> f64 {
    mean(log_losses(probabilities, truth, classes))
}

/// The part of the rows whose right class is among the `k` most probable; of equals the first class counts as more
/// probable.
pub fn top_k(probabilities: &[f32], truth: &[u32], classes: usize, k: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes).zip(truth);
    mean(rows.map(|(row, class)| {
        let (class, right) = (*class as usize, row[*class as usize]);
        let before = row.iter().enumerate().filter(|(c, p)| **p > right || (**p == right && *c < class)).count();
        f64::from(u8::from(before < k))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_mistake_is_bounded_and_ties_go_to_the_first() {
        let loss = log_loss(&[1.0, 0.0], &[1], 2);
        assert!((loss - 15.942_385_152_9).abs() < 1e-9, "{loss}");
        let tied = [0.5, 0.5, 0.0];
        assert_eq!([top_k(&tied, &[0], 3, 1), top_k(&tied, &[1], 3, 1), top_k(&tied, &[1], 3, 2)], [1.0, 0.0, 1.0]);
        assert_eq!(log_loss(&[], &[], 2), 0.0);
    }
}
