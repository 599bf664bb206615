//! Whether a head's confidence can be believed, and the temperature that makes it so.
//!
//! A temperature divides the logits: it changes no prediction, and the one that minimises the log loss on rows that were not
//! fitted on calibrates well (Guo et al. 2017, "On Calibration of Modern Neural Networks").

use super::most_probable;
use crate::fit::temperature::{best, slope};

/// Bins of confidence, each as wide as the others: what Guo et al. use.
pub const BINS: usize = 15;
/// The temperatures that are considered. What lies outside says that there is too little to fit it on: where every
/// validation row is right, say, no temperature is low enough.
pub(super) const TEMPERATURES: (f64, f64) = (0.1, 10.0);
/// Rows from which a temperature is fitted; fewer would calibrate to chance.
pub const LEAST_ROWS: usize = 30;

/// Rows of about the same confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How many.
    pub count: u64,
    /// The mean of the probability of the predicted class.
    pub confidence: f64,
    /// The part that was predicted rightly.
    pub accuracy: f64,
}

/// The rows by the confidence of their prediction, in [`BINS`] bins from 0 to 1, the upper bound in.
pub fn reliability(probabilities: &[f32], truth: &[u32], classes: usize) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    for (row, class) in probabilities.chunks_exact(classes).zip(truth) {
        let predicted = most_probable(row);
        let confidence = f64::from(row[predicted]);
        let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.count += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(predicted == *class as usize));
    }
    for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    bins
}

/// The expected calibration error: how far confidence and accuracy are apart, over the bins by their rows.
pub fn expected_error(bins: &[Bin]) -> f64 {
    let rows: u64 = bins.iter().map(|bin| bin.count).sum();
    let apart: f64 = bins.iter().map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs()).sum();
    if rows == 0 { 0.0 } else { apart / rows as f64 }
}

/// The temperature, 0.1 to 10, with the least log loss of `logits / temperature`, `[rows, classes]`; `None` where there are
/// fewer than [`LEAST_ROWS`] rows.
pub fn temperature(logits: &[f32], truth: &[u32], classes: usize) -> Option<f64> {
    (truth.len() >= LEAST_ROWS).then(|| best(TEMPERATURES, |sharpness| slope(logits, truth, None, classes, sharpness)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_their_upper_bound_and_the_error_is_weighted() {
        let bins = reliability(&[0.8, 0.2, 0.8, 0.2, 1.0, 0.0], &[0, 1, 0], 2);
        let filled: Vec<usize> = (0..BINS).filter(|bin| bins[*bin].count > 0).collect();
        assert_eq!(filled, [12, 14], "f32's 0.8 is a little more than 12/15");
        assert!((bins[12].accuracy - 0.5).abs() < 1e-12 && bins[14].accuracy == 1.0);
        assert!((expected_error(&bins) - 2.0 / 3.0 * 0.3).abs() < 1e-7);
        assert_eq!(expected_error(&reliability(&[], &[], 2)), 0.0);
    }

    #[test]
    fn a_temperature_undoes_the_one_that_was_put_in() {
        // 8 of 10 right, always with logits 3 and 0: the log odds of 0.8 are 1.386, so the temperature is 3 / 1.386.
        let logits: Vec<f32> = [3.0, 0.0].repeat(50);
        let truth: Vec<u32> = (0..50).map(|row| u32::from(row % 5 == 0)).collect();
        let found = temperature(&logits, &truth, 2).unwrap();
        assert!((found - 3.0 / 4f64.ln()).abs() < 1e-9, "{found}");
    }

    #[test]
    fn what_cannot_be_calibrated_stays_within_bounds() {
        let logits: Vec<f32> = [3.0, 0.0].repeat(50);
        assert_eq!(temperature(&logits, &[0; 50], 2), Some(0.1), "all right");
        assert_eq!(temperature(&logits, &[1; 50], 2), Some(10.0), "all wrong");
        assert_eq!(temperature(&[1.0; 100], &[0; 50], 2), Some(10.0), "nothing to tell");
        assert_eq!(temperature(&logits[..58], &[0; 29], 2), None);
    }
}
