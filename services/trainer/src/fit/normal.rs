//! Solves `(AᵀA + r·I)·S = B` for one `r` after another, by whichever of `AᵀA` and `AAᵀ` is the smaller: with fewer rows than
//! features, `S = (B - Aᵀ·(AAᵀ + r·I)⁻¹·A·B) / r` (Woodbury's identity).

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::FitError;
use super::inverse::inverse;

/// Rows whose product is taken at a time.
const CHUNK: usize = 1024;
/// The larger of rows and features may be anything, the smaller at most this: the matrices take some 40 bytes for each pair.
pub const MAX_SIDE: usize = 4096;

/// The equations, ready for any `r`.
#[derive(Debug)]
pub enum Normal {
    /// f64 `[dim, dim]`.
    Features(Tensor),
    /// f64 `[rows, rows]`, and the rows themselves, f64 `[rows, dim]`.
    Rows(Tensor, Tensor),
}

impl Normal {
    /// From `rows` rows of `dim` numbers, which `take` gives a range of at a time, row-major.
    ///
    /// # Errors
    /// [`FitError::TooManyToSolve`], and those of the tensor operations.
    pub fn measure(rows: usize, dim: usize, take: &dyn Fn(Range<usize>) -> Vec<f32>) -> Result<Self, FitError> {
        if rows.min(dim) > MAX_SIDE {
            return Err(FitError::TooManyToSolve { rows, dim });
        }
        let chunks = (0..rows).step_by(CHUNK).map(|start| start..rows.min(start + CHUNK));
        let tensor = |range: Range<usize>| {
            let count = range.len();
            Tensor::from_vec(take(range), (count, dim), &Device::Cpu)
        };
        if rows < dim {
            let all = chunks.map(tensor).collect::<Result<Vec<_>, _>>()?;
            let all = Tensor::cat(&all, 0)?.to_dtype(DType::F64)?;
            return Ok(Normal::Rows(all.matmul(&all.t()?)?, all));
        }
        let mut sum = Tensor::zeros((dim, dim), DType::F64, &Device::Cpu)?;
        for chunk in chunks {
            let x = tensor(chunk)?;
            sum = (sum + x.t()?.matmul(&x)?.to_dtype(DType::F64)?)?;
        }
        Ok(Normal::Features(sum))
    }

    /// `S`, f64 `[dim, columns]`, for `right`, f64 `[dim, columns]`.
    ///
    /// # Errors
    /// [`FitError::Singular`] where `r` is too small, and those of the tensor operations.
    pub fn solve(&self, r: f64, right: &Tensor) -> Result<Tensor, FitError> {
        let ridged = |matrix: &Tensor| {
            let eye = Tensor::eye(matrix.dim(0)?, DType::F64, &Device::Cpu)?;
            let ridged = (matrix + (eye * r)?)?;
            inverse(&ridged)?.ok_or(FitError::Singular)
        };
        match self {
            Normal::Features(matrix) => Ok(ridged(matrix)?.matmul(right)?),
            Normal::Rows(matrix, rows) => {
                let inner = ridged(matrix)?.matmul(&rows.matmul(right)?)?;
                Ok(((right - rows.t()?.matmul(&inner)?)? / r)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn both_ways_solve_the_equations() {
        for (rows, dim) in [(7, 20), (20, 7), (1500, 60)] {
            let mut random = Random::new(rows as u64);
            let a: Vec<f32> = (0..rows * dim).map(|_| (random.unit() - 0.5) as f32).collect();
            let normal = Normal::measure(rows, dim, &|range| a[range.start * dim..range.end * dim].to_vec()).unwrap();
            let right: Vec<f64> = (0..dim * 2).map(|_| random.unit()).collect();
            let tensor = Tensor::from_slice(&right, (dim, 2), &Device::Cpu).unwrap();
            let solved = normal.solve(0.3, &tensor).unwrap().to_vec2::<f64>().unwrap();
            for column in 0..2 {
                let along = |row: usize| (0..dim).map(|j| f64::from(a[row * dim + j]) * solved[j][column]).sum::<f64>();
                let along: Vec<f64> = (0..rows).map(along).collect();
                for j in 0..dim {
                    let back: f64 = (0..rows).map(|row| f64::from(a[row * dim + j]) * along[row]).sum();
                    let error = back + 0.3 * solved[j][column] - right[j * 2 + column];
                    assert!(error.abs() < 1e-4, "{rows} x {dim}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_would_not_fit_memory_is_refused() {
        let refused = Normal::measure(MAX_SIDE + 1, MAX_SIDE + 2, &|_| Vec::new());
        assert!(matches!(refused, Err(FitError::TooManyToSolve { .. })));
    }
}
