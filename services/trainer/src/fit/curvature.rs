//! A guess of the inverse Hessian that cuts the passes over the data several times.
//!
//! The Hessian of the softmax loss is bounded by `½(I - 11ᵀ/K) ⊗ XᵀX/n + l2·I` (Böhning 1992, Multinomial logistic
//! regression algorithm). The same shape with the curvature `c` that the loss has on average where the fit starts, and
//! `XᵀX` from a sample of the rows, one block for all classes, gives `H₀ = (c·XᵀX/m + l2·I)⁻¹`: one product of
//! `[dim, dim]` an iteration.

use candle_core::{DType, Device, Tensor};

use super::data::Rows;
use super::inverse::inverse;
use super::lbfgs::InverseHessian;
use super::{FitError, HeadShape};

/// Rows in the sample for each feature: with fewer the guess gets worse, with more it takes longer than it saves.
const SAMPLE_PER_FEATURE: usize = 3;
/// Rows of the sample whose product is taken at a time.
const CHUNK: usize = 1024;
/// More features than this and the matrices, some 40 bytes for each pair of features, would exceed what a fit may take.
const MAX_DIM: usize = 2048;
/// Passes that it saves in a fit, as the reckoning whether it pays assumes; on embeddings it is 40 to 200.
const PASSES_SAVED: f64 = 40.0;
/// The least curvature that is assumed, so that a fit that is all but certain everywhere still has a scale.
const LEAST_CURVATURE: f64 = 1e-6;

/// `XᵀX/m` over a sample of rows.
pub struct Gram {
    /// f64 `[dim, dim]`.
    matrix: Tensor,
    shape: HeadShape,
}

impl Gram {
    /// Measures `rows`, or `None` where it would cost more than it saves.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn measure(rows: &Rows<'_>) -> Result<Option<Self>, FitError> {
        let HeadShape { dim, classes } = rows.shape;
        let count = rows.labels.len();
        let sample = count.min(SAMPLE_PER_FEATURE * dim);
        if dim > MAX_DIM || !pays(count, sample, dim, classes) {
            return Ok(None);
        }
        // Evenly over the rows, which often come class by class.
        let indices: Vec<u32> = (0..sample).map(|i| (i * count / sample) as u32).collect();
        let mut sum = Tensor::zeros((dim, dim), DType::F32, &Device::Cpu)?;
        for chunk in indices.chunks(CHUNK) {
            let x = rows.features.index_select(&Tensor::from_slice(chunk, chunk.len(), &Device::Cpu)?, 0)?;
            sum = (sum + x.t()?.matmul(&x)?)?;
        }
        let matrix = (sum.to_dtype(DType::F64)? / sample as f64)?;
        Ok(Some(Self { matrix, shape: rows.shape }))
    }

    /// The guess for a loss with the mean curvature `curvature` and the penalty `l2`; `None` where it cannot be
    /// computed.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn guess(&self, curvature: f64, l2: f64) -> Result<Option<CurvatureGuess>, FitError> {
        let curvature = curvature.max(LEAST_CURVATURE);
        let eye = Tensor::eye(self.shape.dim, DType::F64, &Device::Cpu)?;
        let hessian = ((&self.matrix * curvature)? + (eye * l2)?)?;
        let Some(inverse) = inverse(&hessian)? else { return Ok(None) };
        Ok(Some(CurvatureGuess { weights: inverse.to_dtype(DType::F32)?, bias: 1.0 / curvature, shape: self.shape }))
    }
}

/// Whether the products for the sample and the inverse take fewer operations than the passes that they save.
fn pays(rows: usize, sample: usize, dim: usize, classes: usize) -> bool {
    let (rows, sample, dim, classes) = (rows as f64, sample as f64, dim as f64, classes as f64);
    PASSES_SAVED * 4.0 * rows * dim * classes > (2.0 * sample + 3.0 * dim) * dim * dim
}

/// The guess of the inverse Hessian.
pub struct CurvatureGuess {
    /// f32 `[dim, dim]`, the same for every class.
    weights: Tensor,
    /// The same for every bias. Features have mean 0, so biases and weights hardly depend on each other.
    bias: f64,
    shape: HeadShape,
}

impl InverseHessian for CurvatureGuess {
    fn apply(&self, vector: &mut [f64]) -> Result<(), FitError> {
        let (weights, bias) = vector.split_at_mut(self.shape.weights());
        // Scaled to about 1: a gradient near the optimum is near the least that f32 holds.
        let largest = weights.iter().fold(0.0f64, |largest, w| largest.max(w.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let single: Vec<f32> = weights.iter().map(|w| (w / scale) as f32).collect();
        let single = Tensor::from_vec(single, (self.shape.dim, self.shape.classes), &Device::Cpu)?;
        let product = self.weights.matmul(&single)?.flatten_all()?.to_vec1::<f32>()?;
        weights.iter_mut().zip(product).for_each(|(w, p)| *w = f64::from(p) * scale);
        bias.iter_mut().for_each(|b| *b *= self.bias);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::{Case, Random};
    use super::*;

    #[test]
    fn the_guess_solves_the_equations_of_the_hessian() {
        let case = Case::random(900, 12, 3, 8);
        let gram = Gram::measure(&case.rows()).unwrap().unwrap();
        let (curvature, l2) = (0.2, 0.01);
        let guess = gram.guess(curvature, l2).unwrap().unwrap();
        let mut random = Random(1);
        // Small numbers, as in a gradient near its optimum.
        let right: Vec<f64> = (0..case.shape.parameters()).map(|_| 1e-30 * random.unit()).collect();
        let mut solved = right.clone();
        guess.apply(&mut solved).unwrap();
        let matrix = gram.matrix.to_vec2::<f64>().unwrap();
        for row in 0..12 {
            for class in 0..3 {
                let product: f64 = (0..12).map(|j| curvature * matrix[row][j] * solved[j * 3 + class]).sum();
                let back = product + l2 * solved[row * 3 + class];
                assert!((back - right[row * 3 + class]).abs() < 1e-35, "{row} {class}");
            }
        }
        assert_eq!(solved[36], right[36] / curvature);
    }

    #[test]
    fn few_rows_get_no_guess() {
        assert!(Gram::measure(&Case::random(50, 200, 2, 8).rows()).unwrap().is_none());
    }
}
