//! The two products of an evaluation, over a few rows that are in the cache: logits `X·Wᵀ` and the gradient's `Rᵀ·X`.
//!
//! A general matrix product packs its operands first; with ten classes the packing moves as many bytes as the product needs.
//! Here nothing is packed: both loops run along the features, which lie beside each other in the rows, in the weights and in the
//! gradient alike.

use pulp::{Simd, WithSimd};

/// Rows and classes whose logits are summed at once: 8 sums, as many as it takes to hide the 4 cycles of a fused multiply-add
/// at two a cycle, in the 16 registers of AVX2.
const LOGIT_ROWS: usize = 2;
const LOGIT_CLASSES: usize = 4;
/// Rows and classes whose gradients are summed at once: 8 factors stay in registers.
const GRADIENT_ROWS: usize = 4;
const GRADIENT_CLASSES: usize = 2;

/// `logits[r, c] = Σ_j x[r, j]·weights[c, j]`.
pub struct Logits<'a> {
    /// `[rows, dim]`.
    pub x: &'a [f32],
    /// `[classes, dim]`.
    pub weights: &'a [f32],
    /// Numbers in a row.
    pub dim: usize,
    /// `[rows, classes]`.
    pub logits: &'a mut [f32],
}

impl WithSimd for Logits<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weights, dim, logits } = self;
        let classes = weights.len() / dim;
        let rows = x.len() / dim;
        let (whole_rows, whole_classes) = (rows - rows % LOGIT_ROWS, classes - classes % LOGIT_CLASSES);
        for row in (0..whole_rows).step_by(LOGIT_ROWS) {
            let x = [line(x, dim, row), line(x, dim, row + 1)];
            for class in (0..whole_classes).step_by(LOGIT_CLASSES) {
                let w = [0, 1, 2, 3].map(|at| line(weights, dim, class + at));
                let sums = dots::<S, LOGIT_ROWS, LOGIT_CLASSES>(simd, x, w);
                for (at, sums) in sums.iter().enumerate() {
                    logits[(row + at) * classes + class..][..LOGIT_CLASSES].copy_from_slice(sums);
                }
            }
            for class in whole_classes..classes {
                let sums = dots::<S, LOGIT_ROWS, 1>(simd, x, [line(weights, dim, class)]);
                sums.iter().enumerate().for_each(|(at, sums)| logits[(row + at) * classes + class] = sums[0]);
            }
        }
        for row in whole_rows..rows {
            for class in 0..classes {
                logits[row * classes + class] =
                    dots::<S, 1, 1>(simd, [line(x, dim, row)], [line(weights, dim, class)])[0][0];
            }
        }
    }
}

/// `gradient[c, j] += Σ_r residuals[r, c]·x[r, j]`.
pub struct Gradient<'a> {
    /// `[rows, dim]`.
    pub x: &'a [f32],
    /// `[rows, classes]`.
    pub residuals: &'a [f32],
    /// Numbers in a row.
    pub dim: usize,
    /// `[classes, dim]`.
    pub gradient: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, residuals, dim, gradient } = self;
        let classes = gradient.len() / dim;
        let rows = x.len() / dim;
        let whole_rows = rows - rows % GRADIENT_ROWS;
        for row in (0..whole_rows).step_by(GRADIENT_ROWS) {
            let lines = [0, 1, 2, 3].map(|at| line(x, dim, row + at));
            for (pair, gradient) in gradient.chunks_mut(GRADIENT_CLASSES * dim).enumerate() {
                let class = pair * GRADIENT_CLASSES;
                let factor = |class: usize| [0, 1, 2, 3].map(|at| residuals[(row + at) * classes + class]);
                let (first, second) = gradient.split_at_mut(dim);
                if second.is_empty() {
                    add::<S, GRADIENT_ROWS, 1>(simd, lines, [factor(class)], [first]);
                } else {
                    add::<S, GRADIENT_ROWS, 2>(simd, lines, [factor(class), factor(class + 1)], [first, second]);
                }
            }
        }
        for row in whole_rows..rows {
            for (class, gradient) in gradient.chunks_exact_mut(dim).enumerate() {
                add::<S, 1, 1>(simd, [line(x, dim, row)], [[residuals[row * classes + class]]], [gradient]);
            }
        }
    }
}

/// Row `at` of a matrix.
#[inline(always)]
fn line(matrix: &[f32], dim: usize, at: usize) -> &[f32] {
    &matrix[at * dim..(at + 1) * dim]
}

/// The products of `R` rows with `C` others, all of one length.
#[inline(always)]
fn dots<S: Simd, const R: usize, const C: usize>(simd: S, x: [&[f32]; R], w: [&[f32]; C]) -> [[f32; C]; R] {
    let x_parts = x.map(|row| S::as_simd_f32s(row));
    let w_parts = w.map(|row| S::as_simd_f32s(row));
    let (x_whole, w_whole) = (x_parts.map(|parts| parts.0), w_parts.map(|parts| parts.0));
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for at in 0..x_whole[0].len() {
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = simd.mul_add_f32s(x_whole[r][at], w_whole[c][at], sums[r][c]);
            }
        }
    }
    let mut found = [[0.0; C]; R];
    for r in 0..R {
        for c in 0..C {
            let rest = x_parts[r].1.iter().zip(w_parts[c].1).map(|(x, w)| x * w).sum::<f32>();
            found[r][c] = simd.reduce_sum_f32s(sums[r][c]) + rest;
        }
    }
    found
}

/// Adds `R` rows, each times a factor, to each of `C` others, all of one length.
#[inline(always)]
fn add<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: [&[f32]; R],
    factors: [[f32; R]; C],
    into: [&mut [f32]; C],
) {
    let x_parts = x.map(|row| S::as_simd_f32s(row));
    let x_whole = x_parts.map(|parts| parts.0);
    let into_parts = into.map(|row| S::as_mut_simd_f32s(row));
    let mut wide = [[simd.splat_f32s(0.0); R]; C];
    for c in 0..C {
        for r in 0..R {
            wide[c][r] = simd.splat_f32s(factors[c][r]);
        }
    }
    let (mut whole, mut rest) = ([const { None }; C], [const { None }; C]);
    for (c, (simd_part, scalar_part)) in into_parts.into_iter().enumerate() {
        whole[c] = Some(simd_part);
        rest[c] = Some(scalar_part);
    }
    let whole = whole.map(Option::unwrap_or_default);
    for at in 0..x_whole[0].len() {
        for c in 0..C {
            let mut sum = whole[c][at];
            for r in 0..R {
                sum = simd.mul_add_f32s(x_whole[r][at], wide[c][r], sum);
            }
            whole[c][at] = sum;
        }
    }
    for (c, rest) in rest.map(Option::unwrap_or_default).into_iter().enumerate() {
        for r in 0..R {
            rest.iter_mut().zip(x_parts[r].1).for_each(|(sum, x)| *sum += factors[c][r] * x);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::Arch;

    use super::super::random::Random;
    use super::*;

    fn numbers(count: usize, random: &mut Random) -> Vec<f32> {
        (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()
    }

    proptest! {
        #[test]
        fn both_products_agree_with_plain_loops(
            rows in 1usize..11, dim in 1usize..70, classes in 1usize..12, seed in any::<u64>(),
        ) {
            let mut random = Random::new(seed);
            let (x, w) = (numbers(rows * dim, &mut random), numbers(classes * dim, &mut random));
            let mut logits = vec![f32::NAN; rows * classes];
            Arch::new().dispatch(Logits { x: &x, weights: &w, dim, logits: &mut logits });
            let residuals = numbers(rows * classes, &mut random);
            let before = numbers(classes * dim, &mut random);
            let mut gradient = before.clone();
            Arch::new().dispatch(Gradient { x: &x, residuals: &residuals, dim, gradient: &mut gradient });
            for r in 0..rows {
                for c in 0..classes {
                    let dot: f64 = (0..dim).map(|j| f64::from(x[r * dim + j]) * f64::from(w[c * dim + j])).sum();
                    prop_assert!((f64::from(logits[r * classes + c]) - dot).abs() < 1e-5);
                }
            }
            for c in 0..classes {
                for j in 0..dim {
                    let added: f64 =
                        (0..rows).map(|r| f64::from(residuals[r * classes + c]) * f64::from(x[r * dim + j])).sum();
                    let found = f64::from(gradient[c * dim + j]);
                    prop_assert!((found - f64::from(before[c * dim + j]) - added).abs() < 1e-5);
                }
            }
        }
    }
}
