//! Whether the probabilities of labels can be believed, and the temperature that makes them so: the answers about all labels
//! are taken together, for a label alone has mostly too few.

use super::super::calibration::{BINS, Bin, LEAST_ROWS, TEMPERATURES};
use crate::fit::temperature::best;

/// All answers, one a label and row, by the probability of the label, in [`BINS`] bins from 0 to 1, the upper bound in: in each,
/// the mean probability (`confidence`) and the part that has the label (`accuracy`).
pub fn reliability<'a>(answers: impl Iterator<Item = (&'a f32, &'a bool)>) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    for (probability, has) in answers {
        let probability = f64::from(*probability);
        let bin = &mut bins[((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.count += 1;
        bin.confidence += probability;
        bin.accuracy += f64::from(u8::from(*has));
    }
    for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    bins
}

/// The temperature, 0.1 to 10, with the least log loss of `logits / temperature`, `[rows, classes]`, over all labels; `None`
/// where there are fewer than [`LEAST_ROWS`] rows.
pub fn temperature(logits: &[f32], truth: &[bool], classes: usize) -> Option<f64> {
    if logits.len() / classes < LEAST_ROWS {
        return None;
    }
    let count = logits.len() as f64;
    Some(best(TEMPERATURES, |sharpness| {
        // The derivatives of ln(1 + exp(s·z)) - y·s·z by s.
        let (mut slope, mut curvature) = (0.0, 0.0);
        for (logit, has) in logits.iter().zip(truth) {
            let logit = f64::from(*logit);
            let p = 1.0 / (1.0 + (-sharpness * logit).exp());
            slope += (p - f64::from(u8::from(*has))) * logit;
            curvature += p * (1.0 - p) * logit * logit;
        }
        (slope / count, curvature / count)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::super::calibration::expected_error;
    use super::*;

    #[test]
    fn a_temperature_undoes_the_one_that_was_put_in() {
        // 8 of 10 have the label where the logit is 3, and 2 of 10 where it is -3.
        let logits: Vec<f32> = [3.0, -3.0].repeat(50);
        let truth: Vec<bool> = (0..100).map(|at| (at / 2 % 5 == 0) == (at % 2 == 1)).collect();
        let found = temperature(&logits, &truth, 2).unwrap();
        assert!((found - 3.0 / 4f64.ln()).abs() < 1e-9, "{found}");
        assert_eq!(temperature(&logits[..58], &truth[..58], 2), None);
        assert_eq!(temperature(&logits, &[true, false].repeat(50), 2), Some(0.1), "all right");
    }

    #[test]
    fn answers_of_a_probability_are_a_bin() {
        let bins = reliability([0.1, 0.1, 0.9, 0.9].iter().zip(&[true, false, true, true]));
        assert_eq!((bins[1].count, bins[1].accuracy, bins[13].count, bins[13].accuracy), (2, 0.5, 2, 1.0));
        assert!((expected_error(&bins) - (0.4 + 0.1) / 2.0).abs() < 1e-7);
    }
}
