//! What happens to a block of logits where each label is judged on its own. No products here.

use super::softmax_rows::RowSums;

/// Turns `logits`, `[rows, bias.len()]` without their bias, into residuals `P - T` in place, each row times its weight; `T` is 1
/// for the row's label and 0 for the others, `smoothing/2` nearer to a half. `correct` counts rows whose largest logit is that
/// of the label (the first of equals).
pub fn residuals(logits: &mut [f32], labels: &[u32], weights: Option<&[f32]>, smoothing: f32, bias: &[f32]) -> RowSums {
    let mut sums = RowSums::default();
    for (index, (row, &label)) in logits.chunks_exact_mut(bias.len()).zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[index]);
        if weight == 0.0 {
            row.fill(0.0);
            continue;
        }
        let counts = f64::from(weight);
        let (mut loss, mut curvature, mut best) = (0.0, 0.0f32, (0, f32::NEG_INFINITY));
        for (class, (z, bias)) in row.iter_mut().zip(bias).enumerate() {
            *z += bias;
            if *z > best.1 {
                best = (class, *z);
            }
            let yes = if class == label as usize { 1.0 } else { 0.0 };
            let target = yes + smoothing * (0.5 - yes);
            // ln(1 + e^z) - t·z without overflow.
            let small = (-z.abs()).exp();
            loss += f64::from(z.max(0.0)) - f64::from(target) * f64::from(*z) + f64::from(small).ln_1p();
            let p = if *z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            curvature += p * (1.0 - p);
            *z = weight * (p - target);
        }
        sums.log_loss += counts * loss;
        sums.curvature += counts * f64::from(curvature);
        sums.correct += if best.0 == label as usize { counts } else { 0.0 };
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_is_judged_on_its_own() {
        let mut logits = [0.0, 1e30, -1e30];
        let sums = residuals(&mut logits, &[0], None, 0.0, &[0.0; 3]);
        assert_eq!(logits, [-0.5, 1.0, 0.0]);
        assert!(sums.log_loss > 1e29 && sums.correct == 0.0);
        let mut logits = [3.0];
        let sums = residuals(&mut logits, &[0], Some(&[2.0]), 0.0, &[0.0]);
        assert!((sums.log_loss - 2.0 * (-3.0f64).exp().ln_1p()).abs() < 1e-7);
    }

    #[test]
    fn smoothing_moves_both_answers_towards_a_half() {
        let mut logits = [0.0, 0.0];
        residuals(&mut logits, &[1], None, 0.2, &[0.0; 2]);
        assert!((logits[0] - 0.4).abs() < 1e-6 && (logits[1] + 0.4).abs() < 1e-6, "{logits:?}");
    }
}
