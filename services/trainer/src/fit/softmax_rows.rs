//! What happens to a block of logits: log loss, probabilities, residuals. No products here.

/// Sums over the rows of a block.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowSums {
    /// Negative log probabilities of the right classes, in nats, each times the row's weight.
    pub log_loss: f64,
    /// Over all rows and classes, `p·(1-p)` times the row's weight: the mean curvature of the loss in its logits is this over
    /// `weight * classes`.
    pub curvature: f64,
    /// The weight of the rows whose most probable class is the right one (the first of equals).
    pub correct: f64,
}

impl RowSums {
    /// Adds the sums of another block.
    pub fn add(&mut self, other: Self) {
        self.log_loss += other.log_loss;
        self.curvature += other.curvature;
        self.correct += other.correct;
    }
}

/// Turns `logits`, `[rows, bias.len()]` without their bias, into residuals `P - Y` in place, each row times its weight; every
/// weight is 1 where none are given.
///
/// `Y` is 1 for the row's class and 0 for the others, with the part `smoothing` of it spread evenly over all classes.
pub fn residuals(logits: &mut [f32], labels: &[u32], weights: Option<&[f32]>, smoothing: f32, bias: &[f32]) -> RowSums {
    let mut sums = RowSums::default();
    let spread = smoothing / bias.len() as f32;
    for (index, (row, &label)) in logits.chunks_exact_mut(bias.len()).zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[index]);
        if weight == 0.0 {
            row.fill(0.0);
            continue;
        }
        let label = label as usize;
        row.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += bias);
        let (best, max) = first_largest(row);
        let mut right = f64::from(row[label]) - f64::from(max);
        if smoothing > 0.0 {
            let mean = row.iter().map(|z| f64::from(*z) - f64::from(max)).sum::<f64>() / row.len() as f64;
            right += f64::from(smoothing) * (mean - right);
        }
        let total = exponentials(row, max);
        let counts = f64::from(weight);
        sums.log_loss += counts * (total.ln() - right);
        sums.correct += if best == label { counts } else { 0.0 };
        let norm = (1.0 / total) as f32;
        let mut squares = 0.0f32;
        for p in row.iter_mut() {
            *p *= norm;
            squares += *p * *p;
        }
        sums.curvature += counts * (1.0 - f64::from(squares));
        row[label] -= 1.0 - smoothing;
        if smoothing > 0.0 {
            row.iter_mut().for_each(|residual| *residual -= spread);
        }
        if weight != 1.0 {
            row.iter_mut().for_each(|residual| *residual *= weight);
        }
    }
    sums
}

/// Softmax of one row, in f64 so that its sum is 1 to the last digits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let (_, max) = first_largest(logits);
    let exponentials: Vec<f64> = logits.iter().map(|&z| (f64::from(z) - f64::from(max)).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / total).collect()
}

/// Index and value of the largest logit, the first of equals.
fn first_largest(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best
}

/// A logit so far below the largest is as good as none: its probability, 2e-35, is near those that processors are slow with.
const NONE_BELOW: f32 = -80.0;

/// Replaces each logit by `exp(logit - max)`; the sum, at least 1.
fn exponentials(row: &mut [f32], max: f32) -> f64 {
    let mut total = 0.0;
    for z in row.iter_mut() {
        let below = *z - max;
        *z = if below > NONE_BELOW { below.exp() } else { 0.0 };
        total += f64::from(*z);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_equal_classes() {
        let mut logits = [0.0, 0.0];
        let sums = residuals(&mut logits, &[1], None, 0.0, &[0.0, 0.0]);
        assert!((sums.log_loss - 2f64.ln()).abs() < 1e-12);
        assert_eq!(logits, [0.5, -0.5]);
        assert!((sums.curvature - 0.5).abs() < 1e-7);
        assert_eq!(sums.correct, 0.0, "the first of equals is class 0");
    }

    #[test]
    fn a_row_counts_by_its_weight() {
        let mut logits = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let sums = residuals(&mut logits, &[0, 1, 0], Some(&[2.0, 0.0, 1.0]), 0.0, &[0.0, 0.0]);
        let mut once = [1.0, 0.0];
        let one = residuals(&mut once, &[0], None, 0.0, &[0.0, 0.0]);
        assert!((sums.log_loss - 3.0 * one.log_loss).abs() < 1e-12);
        assert_eq!(sums.correct, 3.0);
        assert_eq!(logits, [2.0 * once[0], 2.0 * once[1], 0.0, 0.0, once[0], once[1]]);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut logits = [3e38, -3e38, 1000.0];
        let sums = residuals(&mut logits, &[0], None, 0.0, &[0.0, 0.0, 5.0]);
        assert_eq!(logits, [0.0, 0.0, 0.0]);
        assert_eq!((sums.log_loss, sums.correct), (0.0, 1.0));
        assert_eq!(softmax(&[1e30, 0.0]), [1.0, 0.0]);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let p = softmax(&[0.1, -3.0, 2.5, 2.5]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert_eq!(p[2], p[3]);
    }
}
