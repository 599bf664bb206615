//! The temperature with the least log loss: it divides logits, so that they say how certain they are (Guo et al. 2017, On
//! calibration of modern neural networks).

/// Steps of the search. Each at least halves the interval: 60 leave nothing of it that f64 can tell.
const STEPS: usize = 60;

/// The temperature, from `lowest` to `highest`, at which the first of what `slope` gives for one over it is 0: the first and
/// second derivative of a loss that is convex in one over the temperature. Newton's steps, kept within the interval that holds
/// the zero.
pub fn best((lowest, highest): (f64, f64), slope: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high) = (1.0 / highest, 1.0 / lowest);
    if slope(low).0 >= 0.0 {
        return highest;
    }
    if slope(high).0 <= 0.0 {
        return lowest;
    }
    let mut sharpness = 1.0;
    for _ in 0..STEPS {
        let (slope, curvature) = slope(sharpness);
        *if slope > 0.0 { &mut high } else { &mut low } = sharpness;
        let newton = sharpness - slope / curvature;
        // A step that leaves the interval, or none (0/0), is replaced by halving it.
        let next = if newton > low && newton < high { newton } else { (low + high) / 2.0 };
        let moved = (next - sharpness).abs();
        sharpness = next;
        if moved <= 1e-14 * sharpness {
            break;
        }
    }
    1.0 / sharpness
}

/// The first and second derivative of the mean log loss of `logits * sharpness`, `[rows, classes]`, by the sharpness: the mean
/// difference of the expected logit and the right one, and the mean variance of the logit, under the softmax. Each row counts by
/// its weight, all the same where there are none.
pub fn slope(logits: &[f32], labels: &[u32], weights: Option<&[f32]>, classes: usize, sharpness: f64) -> (f64, f64) {
    let (mut slope, mut curvature, mut total) = (0.0, 0.0, 0.0);
    for (index, (row, class)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| f64::from(weights[index]));
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for logit in row {
            let below = f64::from(*logit) - f64::from(most);
            let part = (sharpness * below).exp();
            sum += part;
            first += part * below;
            second += part * below * below;
        }
        let expected = first / sum;
        let right = f64::from(row[*class as usize]) - f64::from(most);
        slope += weight * (expected - right);
        curvature += weight * (second / sum - expected * expected);
        total += weight;
    }
    (slope / total, curvature / total)
}
