//! Value and gradient in one pass over the features: a block of rows gives its logits, residuals and part of the gradient
//! before it leaves the cache.
//!
//! Rows are cut into parts whose number depends on the rows alone. Each part is summed by one thread, and the parts are added up
//! in order: the result is the same to the bit with any number of threads.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::kernel::{Gradient, Logits};
use super::softmax_rows::RowSums;

/// More classes than this and a general matrix product is as quick: its packing is then little beside its work.
pub const MAX_CLASSES: usize = 64;
/// Rows in a block: 160 kB at 1280 numbers, which stays in the second-level cache beside the weights and the gradient.
const BLOCK_ROWS: usize = 32;
/// The least rows in a part, and the most parts.
const LEAST_PART: usize = 256;
const MOST_PARTS: usize = 64;
/// Fewer multiplications than this are done before another thread has woken up.
const WORTH_A_THREAD: usize = 1 << 21;

/// The features to pass over.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// `[rows, dim]`.
    pub features: &'a [f32],
    /// Numbers in a row.
    pub dim: usize,
    /// Logits of a row.
    pub classes: usize,
}

/// The sums of a pass.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Over all rows.
    pub sums: RowSums,
    /// `Xᵀ·R`, transposed: `[classes, dim]`.
    pub weights: Vec<f64>,
    /// Residuals summed over the rows, `[classes]`.
    pub bias: Vec<f64>,
}

/// The sums of one part of the rows.
#[derive(Clone, Debug, Default)]
struct Part {
    sums: RowSums,
    weights: Vec<f32>,
    bias: Vec<f64>,
}

/// What a pass sums into, kept for the next one: memory that is new each time is cleared by the kernel first, which takes a
/// twentieth of the time of a pass.
#[derive(Clone, Debug, Default)]
pub struct Workspace(Vec<Part>);

/// Passes over all rows with `weights`, `[classes, dim]`. `residuals` is given the logits of some rows, without a bias, to
/// turn into residuals in place.
pub fn pass(
    matrix: Matrix<'_>,
    weights: &[f32],
    residuals: &(dyn Fn(&mut [f32], Range<usize>) -> RowSums + Sync),
    workspace: &mut Workspace,
) -> Passed {
    let rows = matrix.features.len() / matrix.dim;
    let part_rows = rows.div_ceil(MOST_PARTS).max(LEAST_PART).next_multiple_of(BLOCK_ROWS);
    let parts = &mut workspace.0;
    parts.resize_with(rows.div_ceil(part_rows), Part::default);
    let parts_a_thread = (WORTH_A_THREAD / (part_rows * matrix.dim * matrix.classes)).max(1);
    parts.par_iter_mut().with_min_len(parts_a_thread).enumerate().for_each(|(at, part)| {
        matrix.sum(weights, at * part_rows..rows.min((at + 1) * part_rows), residuals, part);
    });
    let mut total = Passed {
        sums: RowSums::default(),
        weights: vec![0.0; matrix.classes * matrix.dim],
        bias: vec![0.0; matrix.classes],
    };
    for part in parts {
        total.sums.add(part.sums);
        total.weights.iter_mut().zip(&part.weights).for_each(|(sum, part)| *sum += f64::from(*part));
        total.bias.iter_mut().zip(&part.bias).for_each(|(sum, part)| *sum += part);
    }
    total
}

impl Matrix<'_> {
    /// Sums over some of the rows.
    fn sum(
        &self,
        weights: &[f32],
        rows: Range<usize>,
        residuals: &(dyn Fn(&mut [f32], Range<usize>) -> RowSums + Sync),
        part: &mut Part,
    ) {
        let Self { dim, classes, .. } = *self;
        let arch = Arch::new();
        part.sums = RowSums::default();
        zeros(&mut part.weights, classes * dim);
        zeros(&mut part.bias, classes);
        let mut logits = vec![0.0; BLOCK_ROWS * classes];
        for first in rows.clone().step_by(BLOCK_ROWS) {
            let block = first..rows.end.min(first + BLOCK_ROWS);
            let x = &self.features[block.start * dim..block.end * dim];
            let logits = &mut logits[..block.len() * classes];
            arch.dispatch(Logits { x, weights, dim, logits });
            part.sums.add(residuals(logits, block));
            for row in logits.chunks_exact(classes) {
                part.bias.iter_mut().zip(row).for_each(|(sum, residual)| *sum += f64::from(*residual));
            }
            arch.dispatch(Gradient { x, residuals: logits, dim, gradient: &mut part.weights });
        }
    }
}

/// Makes it `count` zeros.
fn zeros<T: Copy + Default>(numbers: &mut Vec<T>, count: usize) {
    numbers.clear();
    numbers.resize(count, T::default());
}
