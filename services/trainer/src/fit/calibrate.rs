//! How logits did on rows that they were not fitted on, at the temperature that suits them best: heads of different kinds can be
//! compared by it.

use super::temperature::{best, slope};

/// Temperatures that are considered: the logits of some kinds are no log probabilities and have a scale of their own.
const TEMPERATURES: (f64, f64) = (1e-4, 1e4);

/// How logits did on rows that they were not fitted on, at their best temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibrated {
    /// What to divide the logits by.
    pub temperature: f64,
    /// Mean log loss at that temperature, in nats.
    pub log_loss: f64,
    /// Accuracy, 0 to 1; the first of equal logits counts.
    pub accuracy: f64,
}

/// Finds the best temperature of `logits`, `[rows, classes]`, for the classes `labels`; `weights` are what the rows count, all
/// the same where there are none.
pub fn calibrate(logits: &[f32], labels: &[u32], weights: Option<&[f32]>, classes: usize) -> Calibrated {
    let temperature = best(TEMPERATURES, |sharpness| slope(logits, labels, weights, classes, sharpness));
    let log_loss = log_loss(logits, labels, weights, classes, 1.0 / temperature);
    Calibrated { temperature, log_loss, accuracy: accuracy(logits, labels, weights, classes) }
}

/// Mean log loss of the logits times `factor`.
fn log_loss(logits: &[f32], labels: &[u32], weights: Option<&[f32]>, classes: usize, factor: f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, (row, label)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| f64::from(weights[index]));
        let most = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let exponentials: f64 = row.iter().map(|z| (factor * (f64::from(*z) - most)).exp()).sum();
        sum += weight * (exponentials.ln() - factor * (f64::from(row[*label as usize]) - most));
        total += weight;
    }
    sum / total
}

fn accuracy(logits: &[f32], labels: &[u32], weights: Option<&[f32]>, classes: usize) -> f64 {
    let (mut right, mut total) = (0.0, 0.0);
    for (index, (row, label)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| f64::from(weights[index]));
        let first_largest = row.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class);
        right += if first_largest == Some(*label as usize) { weight } else { 0.0 };
        total += weight;
    }
    right / total
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn logits_that_were_made_too_certain_are_brought_back() {
        // Labels drawn from the probabilities of the logits themselves, which are then multiplied.
        let (rows, classes) = (20_000, 3);
        let mut random = Random::new(5);
        let honest: Vec<f32> = (0..rows * classes).map(|_| (4.0 * random.unit() - 2.0) as f32).collect();
        let draw = |(row, at): (&[f32], f64)| {
            let probabilities = super::super::softmax_rows::softmax(row);
            let mut sum = 0.0;
            probabilities
                .iter()
                .position(|p| {
                    sum += p;
                    at < sum
                })
                .unwrap_or(classes - 1) as u32
        };
        let points: Vec<f64> = (0..rows).map(|_| random.unit()).collect();
        let labels: Vec<u32> = honest.chunks(classes).zip(points).map(draw).collect();
        for factor in [0.1f32, 1.0, 30.0] {
            let logits: Vec<f32> = honest.iter().map(|z| z * factor).collect();
            let found = calibrate(&logits, &labels, None, classes);
            assert!((found.temperature / f64::from(factor) - 1.0).abs() < 0.05, "{factor} {found:?}");
        }
        let equal = calibrate(&[1.0, 1.0, 0.0], &[0], None, 3);
        assert_eq!(equal.accuracy, 1.0, "the first of equals");
    }

    #[test]
    fn a_row_without_weight_does_not_count() {
        let logits = [2.0, 0.0, 0.0, 2.0, 5.0, 0.0];
        let with = calibrate(&logits, &[0, 0, 1], Some(&[1.0, 0.5, 0.0]), 2);
        let without = calibrate(&logits[..4], &[0, 0], Some(&[1.0, 0.5]), 2);
        assert_eq!(with, without);
    }
}
