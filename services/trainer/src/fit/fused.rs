//! Value and gradient in one pass over the features: a block of rows gives its logits, residuals and part of the gradient
//! before it leaves the cache.
//!
//! Rows are cut into parts whose number depends on the rows alone. Each part is summed by one thread, and the parts are added up
//! in order: the result is the same to the bit with any number of threads.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use pulp::Arch;

use super::FitError;
use super::kernel::{Gradient, Logits};
use super::softmax_rows::RowSums;

/// More classes than this and a general matrix product is as quick: its packing is then little beside its work.
pub const MAX_CLASSES: usize = 64;
/// Rows in a block: 160 kB at 1280 numbers, which stays in the second-level cache beside the weights and the gradient.
const BLOCK_ROWS: usize = 32;
/// The least rows in a part, and the most parts.
const LEAST_PART: usize = 256;
const MOST_PARTS: usize = 64;
/// Fewer multiplications than this are done before another thread has started.
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
struct Part {
    sums: RowSums,
    weights: Vec<f32>,
    bias: Vec<f64>,
}

/// Passes over all rows with `weights`, `[classes, dim]`. `residuals` is given the logits of some rows, without a bias, to
/// turn into residuals in place.
///
/// # Errors
/// [`FitError::Thread`] if a thread broke down.
pub fn pass(
    matrix: Matrix<'_>,
    weights: &[f32],
    residuals: &(dyn Fn(&mut [f32], Range<usize>) -> RowSums + Sync),
) -> Result<Passed, FitError> {
    let rows = matrix.features.len() / matrix.dim;
    let part_rows = rows.div_ceil(MOST_PARTS).max(LEAST_PART).next_multiple_of(BLOCK_ROWS);
    let parts = rows.div_ceil(part_rows);
    let part = |index: usize| {
        let range = index * part_rows..rows.min((index + 1) * part_rows);
        matrix.part(weights, range, residuals)
    };
    let threads = threads(rows * matrix.dim * matrix.classes).min(parts);
    let done: Vec<Vec<Part>> = thread::scope(|scope| {
        let work = |first: usize| (first..parts).step_by(threads).map(part).collect::<Vec<Part>>();
        let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || work(first))).collect();
        let mut done = vec![work(0)];
        for other in others {
            done.push(other.join().map_err(|_| FitError::Thread)?);
        }
        Ok::<_, FitError>(done)
    })?;
    let mut total = Passed {
        sums: RowSums::default(),
        weights: vec![0.0; matrix.classes * matrix.dim],
        bias: vec![0.0; matrix.classes],
    };
    for index in 0..parts {
        let part = &done[index % threads][index / threads];
        total.sums.add(part.sums);
        total.weights.iter_mut().zip(&part.weights).for_each(|(sum, part)| *sum += f64::from(*part));
        total.bias.iter_mut().zip(&part.bias).for_each(|(sum, part)| *sum += part);
    }
    Ok(total)
}

/// Threads for this many multiplications.
fn threads(work: usize) -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(1 + work / WORTH_A_THREAD)
}

impl Matrix<'_> {
    fn part(
        &self,
        weights: &[f32],
        rows: Range<usize>,
        residuals: &(dyn Fn(&mut [f32], Range<usize>) -> RowSums + Sync),
    ) -> Part {
        let Self { dim, classes, .. } = *self;
        let arch = Arch::new();
        let mut part = Part { sums: RowSums::default(), weights: vec![0.0; classes * dim], bias: vec![0.0; classes] };
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
        part
    }
}
