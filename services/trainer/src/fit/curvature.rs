//! A guess of the inverse Hessian that cuts the passes over the data several times.
//!
//! The Hessian of the softmax loss is bounded by `½(I - 11ᵀ/K) ⊗ XᵀX/n + l2·I` (Böhning 1992, Multinomial logistic
//! regression algorithm). The same shape with the curvature `c` that the loss has on average, one block for all classes, gives
//! `H₀ = (c·XᵀX/n + l2·I)⁻¹`. Of `XᵀX/n` only what a few directions hold stands out from `l2/c`, so that it is taken as
//! `Q·C·Qᵀ + τ(I - Q·Qᵀ)`, with `Q` the range of a random sketch (Halko, Martinsson and Tropp 2011, Finding structure with
//! randomness, algorithms 4.3 and 5.3) of a sample of the rows, and `τ` the mean of what is left. Then, with `t = c·τ + l2`,
//! `H₀ = I/t + Q·((c·C + l2·I)⁻¹ - I/t)·Qᵀ`: two thin products an iteration.

use candle_core::{DType, Device, Tensor};

use super::data::Rows;
use super::inverse::inverse;
use super::lbfgs::{InverseHessian, add, dot};
use super::random::Random;
use super::{FitError, HeadShape};

/// Rows in the sample. On 12,000 embeddings of 1,280 numbers, 2,000 save as many passes as 12,000 do.
const SAMPLE: usize = 2048;
/// Directions that are told apart. There, 64 take an eighth more passes, and all 1,280 no fewer.
const RANK: usize = 96;
/// Passes that it saves in a fit, as the reckoning whether it pays assumes; on embeddings it is 40 to 200.
const PASSES_SAVED: f64 = 40.0;
/// The least curvature that is assumed, so that a fit that is all but certain everywhere still has a scale.
const LEAST_CURVATURE: f64 = 1e-6;

/// The directions in which the rows of a sample vary most.
pub struct Directions {
    /// `Q`: f32 `[dim, rank]`, orthonormal columns.
    basis: Tensor,
    /// `C = Qᵀ·(XᵀX/m)·Q`: f64 `[rank, rank]`.
    within: Tensor,
    /// `τ`: the mean variance in the other directions.
    beyond: f64,
    shape: HeadShape,
}

impl Directions {
    /// Measures `rows`, or `None` where it would cost more than it saves.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn measure(rows: &Rows<'_>) -> Result<Option<Self>, FitError> {
        let HeadShape { dim, classes } = rows.shape;
        let count = rows.labels.len();
        let (sample, rank) = (count.min(SAMPLE), dim.min(RANK).min(count));
        if !pays(count, sample, dim, classes, rank) {
            return Ok(None);
        }
        // Evenly over the rows, which often come class by class.
        let indices: Vec<u32> = (0..sample).map(|i| (i * count / sample) as u32).collect();
        let x = rows.features.index_select(&Tensor::from_vec(indices, sample, &Device::Cpu)?, 0)?;
        let mut random = Random::new(0);
        let sketch: Vec<f32> = (0..dim * rank).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect();
        let sketch = Tensor::from_vec(sketch, (dim, rank), &Device::Cpu)?;
        let range = x.matmul(&sketch)?.t()?.matmul(&x)?;
        let basis = orthonormal(range.to_vec2::<f32>()?);
        let Some(rank) = (!basis.is_empty()).then_some(basis.len()) else { return Ok(None) };
        let basis = Tensor::from_vec(basis.concat(), (rank, dim), &Device::Cpu)?.t()?.contiguous()?;
        let seen = x.matmul(&basis)?.to_dtype(DType::F64)?;
        let within = (seen.t()?.matmul(&seen)? / sample as f64)?;
        let all = x.sqr()?.sum_all()?.to_scalar::<f32>()?;
        let there = seen.sqr()?.sum_all()?.to_scalar::<f64>()?;
        let others = (dim - rank).max(1) as f64 * sample as f64;
        let beyond = ((f64::from(all) - there) / others).max(0.0);
        Ok(Some(Self { basis, within, beyond, shape: rows.shape }))
    }

    /// The guess for a loss with the mean curvature `curvature` and the penalty `l2`, to go `first_step` along at first; `None`
    /// where it cannot be computed.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn guess(&self, curvature: f64, l2: f64, first_step: f64) -> Result<Option<CurvatureGuess>, FitError> {
        let curvature = curvature.max(LEAST_CURVATURE);
        let eye = Tensor::eye(self.within.dim(0)?, DType::F64, &Device::Cpu)?;
        let Some(inverse) = inverse(&((&self.within * curvature)? + (&eye * l2)?)?)? else { return Ok(None) };
        let outside = 1.0 / (curvature * self.beyond + l2);
        let inside = (inverse - (eye * outside)?)?.to_dtype(DType::F32)?;
        Ok(Some(CurvatureGuess {
            basis: self.basis.clone(),
            inside,
            outside,
            bias: 1.0 / curvature,
            first_step,
            shape: self.shape,
        }))
    }
}

/// Whether the products for the sample take fewer operations than the passes that they save.
fn pays(rows: usize, sample: usize, dim: usize, classes: usize, rank: usize) -> bool {
    let (rows, sample, dim, classes, rank) = (rows as f64, sample as f64, dim as f64, classes as f64, rank as f64);
    PASSES_SAVED * 4.0 * rows * dim * classes > (6.0 * sample + 4.0 * rank) * dim * rank
}

/// Rows with the same span that are orthogonal and of length 1 (Gram and Schmidt, twice each, which is enough: Giraud,
/// Langou and Rozložník 2005). Rows that add nothing to the span are left out.
fn orthonormal(rows: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
    for row in rows {
        let mut row: Vec<f64> = row.into_iter().map(f64::from).collect();
        let before = dot(&row, &row).sqrt();
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&row, other);
                add(&mut row, -along, other);
            }
        }
        let left = dot(&row, &row).sqrt();
        // What is left of f32 numbers that were in the span is rounding.
        if left > 1e-6 * before {
            row.iter_mut().for_each(|a| *a /= left);
            basis.push(row);
        }
    }
    basis.into_iter().map(|row| row.into_iter().map(|a| a as f32).collect()).collect()
}

/// The guess of the inverse Hessian.
pub struct CurvatureGuess {
    /// f32 `[dim, rank]`.
    basis: Tensor,
    /// What is done inside of its span more than outside: f32 `[rank, rank]`, the same for every class.
    inside: Tensor,
    /// What is done everywhere.
    outside: f64,
    /// The same for every bias. Features have mean 0, so biases and weights hardly depend on each other.
    bias: f64,
    first_step: f64,
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
        let within = self.inside.matmul(&self.basis.t()?.matmul(&single)?)?;
        let added = self.basis.matmul(&within)?.flatten_all()?.to_vec1::<f32>()?;
        weights.iter_mut().zip(added).for_each(|(w, a)| *w = *w * self.outside + f64::from(a) * scale);
        bias.iter_mut().for_each(|b| *b *= self.bias);
        Ok(())
    }

    fn first_step(&self) -> f64 {
        self.first_step
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::{Case, Random};
    use super::*;

    /// `XᵀX/m` of a case.
    fn gram(case: &Case) -> Vec<Vec<f64>> {
        let (dim, rows) = (case.shape.dim, case.labels.len());
        let product = |i: usize, j: usize| {
            case.features.chunks(dim).map(|row| f64::from(row[i]) * f64::from(row[j])).sum::<f64>() / rows as f64
        };
        (0..dim).map(|i| (0..dim).map(|j| product(i, j)).collect()).collect()
    }

    #[test]
    fn where_all_directions_are_told_apart_it_solves_the_equations_of_the_hessian() {
        let case = Case::random(900, 12, 3, 8);
        let (curvature, l2) = (0.2, 0.01);
        let guess = Directions::measure(&case.rows()).unwrap().unwrap().guess(curvature, l2, 1.0).unwrap().unwrap();
        let mut random = Random(1);
        // Small numbers, as in a gradient near its optimum.
        let right: Vec<f64> = (0..case.shape.parameters()).map(|_| 1e-30 * random.unit()).collect();
        let mut solved = right.clone();
        guess.apply(&mut solved).unwrap();
        let matrix = gram(&case);
        for row in 0..12 {
            for class in 0..3 {
                let product: f64 = (0..12).map(|j| curvature * matrix[row][j] * solved[j * 3 + class]).sum();
                let back = product + l2 * solved[row * 3 + class];
                assert!((back - right[row * 3 + class]).abs() < 1e-34, "{row} {class}");
            }
        }
        assert_eq!(solved[36], right[36] / curvature);
    }

    #[test]
    fn directions_that_stand_out_are_found_among_many() {
        // Two directions of 300 vary much more than the others.
        let mut case = Case::random(2000, 300, 10, 5);
        for row in case.features.chunks_mut(300) {
            row[7] *= 30.0;
            row[123] *= 20.0;
        }
        let (curvature, l2) = (0.1, 0.01);
        let directions = Directions::measure(&case.rows()).unwrap().unwrap();
        let guess = directions.guess(curvature, l2, 1.0).unwrap().unwrap();
        let matrix = gram(&case);
        for at in [7, 123, 50] {
            let mut vector = vec![0.0; case.shape.parameters()];
            vector[at * 10] = 1.0;
            guess.apply(&mut vector).unwrap();
            // But for what a feature has in common with others.
            let exact = 1.0 / (curvature * matrix[at][at] + l2);
            let ratio = vector[at * 10] / exact;
            let near = if at == 50 { 0.5..2.0 } else { 0.9..1.3 };
            assert!(near.contains(&ratio), "{at}: {ratio}");
        }
    }

    #[test]
    fn rows_that_add_nothing_are_left_out_of_the_basis() {
        let rows = vec![vec![3.0, 4.0, 0.0], vec![-6.0, -8.0, 0.0], vec![0.0; 3], vec![1.0, 1.0, 1.0]];
        let basis = orthonormal(rows);
        assert_eq!(basis.len(), 2);
        let dot: f32 = basis[0].iter().zip(&basis[1]).map(|(a, b)| a * b).sum();
        assert!(dot.abs() < 1e-6);
    }

    #[test]
    fn few_rows_get_no_guess() {
        assert!(Directions::measure(&Case::random(300, 200, 2, 8).rows()).unwrap().is_none());
    }
}
