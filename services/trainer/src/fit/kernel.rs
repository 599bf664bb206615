//! The two products of an evaluation, over a few rows that are in the cache: logits `X·Wᵀ` and the gradient's `Rᵀ·X`.
//!
//! A general matrix product packs its operands first; with ten classes the packing moves as many bytes as the product needs.
//! Here nothing is packed: both loops run along the features, which lie beside each other in the rows, in the weights and in the
//! gradient alike. What is summed stays in registers: 20 sums where there are 32 registers (AVX-512, NEON), 10 where there are 16,
//! either more than the 8 that hide the 4 cycles of a fused multiply-add at two a cycle.

use pulp::{Simd, WithSimd};

/// Classes that are summed at once.
const CLASSES: usize = 5;

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
        if S::REGISTER_COUNT >= 32 { self.by_rows::<S, 4>(simd) } else { self.by_rows::<S, 2>(simd) }
    }
}

impl Logits<'_> {
    /// `R` rows at once, and those that are left one by one.
    #[inline(always)]
    fn by_rows<S: Simd, const R: usize>(self, simd: S) {
        let Self { x, weights, dim, logits } = self;
        let classes = weights.len() / dim;
        let whole = x.len() / dim / R * R;
        let (x, x_rest) = x.split_at(whole * dim);
        let (logits, logits_rest) = logits.split_at_mut(whole * classes);
        for (x, logits) in x.chunks_exact(R * dim).zip(logits.chunks_exact_mut(R * classes)) {
            by_classes::<S, R>(simd, x, weights, dim, logits);
        }
        for (x, logits) in x_rest.chunks_exact(dim).zip(logits_rest.chunks_exact_mut(classes)) {
            by_classes::<S, 1>(simd, x, weights, dim, logits);
        }
    }
}

/// The logits of `R` rows.
#[inline(always)]
fn by_classes<S: Simd, const R: usize>(simd: S, x: &[f32], weights: &[f32], dim: usize, logits: &mut [f32]) {
    for (at, weights) in weights.chunks(CLASSES * dim).enumerate() {
        let first = at * CLASSES;
        match weights.len() / dim {
            5 => dots::<S, R, 5>(simd, x, weights, dim, logits, first),
            4 => dots::<S, R, 4>(simd, x, weights, dim, logits, first),
            3 => dots::<S, R, 3>(simd, x, weights, dim, logits, first),
            2 => dots::<S, R, 2>(simd, x, weights, dim, logits, first),
            _ => dots::<S, R, 1>(simd, x, weights, dim, logits, first),
        }
    }
}

/// The products of `R` rows with `C` others; those are the classes from `first` on.
#[inline(always)]
fn dots<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: &[f32],
    weights: &[f32],
    dim: usize,
    logits: &mut [f32],
    first: usize,
) {
    let x: [&[f32]; R] = std::array::from_fn(|r| line(x, dim, r));
    let w: [&[f32]; C] = std::array::from_fn(|c| line(weights, dim, c));
    let count = S::as_simd_f32s(x[0]).0.len();
    // Cut to one length that the compiler knows, so that it need not check in the loop.
    let x_whole = x.map(|row| &S::as_simd_f32s(row).0[..count]);
    let w_whole = w.map(|row| &S::as_simd_f32s(row).0[..count]);
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for at in 0..count {
        let numbers = x_whole.map(|row| row[at]);
        for c in 0..C {
            let weight = w_whole[c][at];
            for r in 0..R {
                sums[r][c] = simd.mul_add_e_f32s(numbers[r], weight, sums[r][c]);
            }
        }
    }
    let classes = logits.len() / R;
    for r in 0..R {
        for c in 0..C {
            let rest = S::as_simd_f32s(x[r]).1.iter().zip(S::as_simd_f32s(w[c]).1).map(|(x, w)| x * w).sum::<f32>();
            logits[r * classes + first + c] = simd.reduce_sum_f32s(sums[r][c]) + rest;
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
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.by_columns::<S, 4>(simd) } else { self.by_columns::<S, 2>(simd) }
    }
}

impl Gradient<'_> {
    /// `V` vectors of columns at once, then those that are left one by one, then the columns that fill no vector.
    #[inline(always)]
    fn by_columns<S: Simd, const V: usize>(&mut self, simd: S) {
        let whole = S::as_simd_f32s(line(self.x, self.dim, 0)).0.len();
        let blocks = whole / V * V;
        for at in (0..blocks).step_by(V) {
            self.by_classes::<S, V>(simd, at);
        }
        for at in blocks..whole {
            self.by_classes::<S, 1>(simd, at);
        }
        self.columns_from(whole * S::F32_LANES);
    }

    /// The vectors of columns from `at` on.
    #[inline(always)]
    fn by_classes<S: Simd, const V: usize>(&mut self, simd: S, at: usize) {
        let classes = self.gradient.len() / self.dim;
        for first in (0..classes).step_by(CLASSES) {
            match classes - first {
                1 => self.add::<S, V, 1>(simd, at, first),
                2 => self.add::<S, V, 2>(simd, at, first),
                3 => self.add::<S, V, 3>(simd, at, first),
                4 => self.add::<S, V, 4>(simd, at, first),
                _ => self.add::<S, V, 5>(simd, at, first),
            }
        }
    }

    /// `V` vectors of columns of `C` classes.
    #[inline(always)]
    fn add<S: Simd, const V: usize, const C: usize>(&mut self, simd: S, at: usize, first: usize) {
        let classes = self.gradient.len() / self.dim;
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for (x, residuals) in self.x.chunks_exact(self.dim).zip(self.residuals.chunks_exact(classes)) {
            let x = &S::as_simd_f32s(x).0[at..at + V];
            let residuals = &residuals[first..first + C];
            for c in 0..C {
                let factor = simd.splat_f32s(residuals[c]);
                for v in 0..V {
                    sums[c][v] = simd.mul_add_e_f32s(x[v], factor, sums[c][v]);
                }
            }
        }
        for (c, sums) in sums.iter().enumerate() {
            let line = &mut self.gradient[(first + c) * self.dim..(first + c + 1) * self.dim];
            let into = &mut S::as_mut_simd_f32s(line).0[at..at + V];
            for v in 0..V {
                into[v] = simd.add_f32s(into[v], sums[v]);
            }
        }
    }

    /// The columns from `first` on, one by one.
    fn columns_from(&mut self, first: usize) {
        let classes = self.gradient.len() / self.dim;
        for (x, residuals) in self.x.chunks_exact(self.dim).zip(self.residuals.chunks_exact(classes)) {
            for (gradient, residual) in self.gradient.chunks_exact_mut(self.dim).zip(residuals) {
                gradient[first..].iter_mut().zip(&x[first..]).for_each(|(sum, x)| *sum += residual * x);
            }
        }
    }
}

/// Row `at` of a matrix.
#[inline(always)]
fn line(matrix: &[f32], dim: usize, at: usize) -> &[f32] {
    &matrix[at * dim..(at + 1) * dim]
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
