//! What happens to a block of logits where each label is judged on its own. No products here.

use super::labels::Truth;
use super::softmax_rows::RowSums;

/// Turns `logits`, `[rows, bias.len()]` without their bias, into residuals `P - T` in place, each row times its weight; `T` is 1
/// for the row's labels and 0 for the others, `smoothing/2` nearer to a half. `correct` counts rows whose largest logit is that
/// of the label (the first of equals); of rows with sets, those where each label is given that the row has, and no other, if
/// those with a probability of a half or more are.
pub fn residuals(
    logits: &mut [f32],
    truth: Truth<'_>,
    weights: Option<&[f32]>,
    smoothing: f32,
    bias: &[f32],
) -> RowSums {
    let mut sums = RowSums::default();
    for (index, row) in logits.chunks_exact_mut(bias.len()).enumerate() {
        let labels = truth.of(index);
        let weight = weights.map_or(1.0, |weights| weights[index]);
        if weight == 0.0 {
            row.fill(0.0);
            continue;
        }
        let counts = f64::from(weight);
        let (mut loss, mut curvature, mut best) = (0.0, 0.0f32, (0, f32::NEG_INFINITY));
        let (mut rest, mut exact) = (labels, true);
        for (class, (z, bias)) in row.iter_mut().zip(bias).enumerate() {
            *z += bias;
            if *z > best.1 {
                best = (class, *z);
            }
            let has = rest.first().is_some_and(|label| *label as usize == class);
            if has {
                rest = &rest[1..];
            }
            exact &= has == (*z >= 0.0);
            let yes = if has { 1.0 } else { 0.0 };
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
        let right = match truth {
            Truth::One(classes) => best.0 == classes[index] as usize,
            Truth::Sets(_) => exact,
        };
        sums.correct += if right { counts } else { 0.0 };
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::labels::LabelSets;
    use super::*;

    #[test]
    fn each_label_is_judged_on_its_own() {
        let mut logits = [0.0, 1e30, -1e30];
        let sums = residuals(&mut logits, Truth::One(&[0]), None, 0.0, &[0.0; 3]);
        assert_eq!(logits, [-0.5, 1.0, 0.0]);
        assert!(sums.log_loss > 1e29 && sums.correct == 0.0);
        let mut logits = [3.0];
        let sums = residuals(&mut logits, Truth::One(&[0]), Some(&[2.0]), 0.0, &[0.0]);
        assert!((sums.log_loss - 2.0 * (-3.0f64).exp().ln_1p()).abs() < 1e-7);
    }

    #[test]
    fn smoothing_moves_both_answers_towards_a_half() {
        let mut logits = [0.0, 0.0];
        residuals(&mut logits, Truth::One(&[1]), None, 0.2, &[0.0; 2]);
        assert!((logits[0] - 0.4).abs() < 1e-6 && (logits[1] + 0.4).abs() < 1e-6, "{logits:?}");
    }

    #[test]
    fn a_row_with_a_set_is_right_if_all_of_it_is() {
        let sets = LabelSets::new([&[0, 2][..], &[], &[0, 1, 2], &[1]]);
        let mut logits = [1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 2.0, -1.0];
        let sums = residuals(&mut logits, Truth::Sets(sets.rows()), None, 0.0, &[0.0; 3]);
        assert_eq!(sums.correct, 3.0, "the last has one label too many");
        let (no, yes) = (1.0 / (1.0 + 1f32.exp()), 1.0 / (1.0 + (-1f32).exp()) - 1.0);
        assert!(logits[..3].iter().zip([yes, no, yes]).all(|(found, right)| (found - right).abs() < 1e-6));
        assert!(logits[3..6].iter().all(|residual| (residual - no).abs() < 1e-6), "a row without a label counts too");
    }
}
