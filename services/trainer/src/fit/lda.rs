//! Linear discriminant analysis: every class is a normal distribution with a mean of its own and one covariance for all, and a
//! logit is the logarithm of its density times the part of the class. In closed form.
//!
//! The covariance of a few rows knows little of most directions, so it is shrunk towards a multiple of the identity that has the
//! same trace: `Σ = (1 - s)·S + s·(tr S / dim)·I` (Friedman 1989, Regularized discriminant analysis).

use candle_core::{Device, Tensor};

use super::FitError;
use super::data::Rows;
use super::head::LinearHead;
use super::normal::Normal;
use super::weighted::Weighted;

/// Means and covariance of some rows, ready for any shrinkage.
#[derive(Debug)]
pub struct Discriminant {
    /// Of the rows less the mean of their class, each times the root of its weight.
    normal: Normal,
    /// The mean of each class, f64 `[classes, dim]`.
    means: Vec<f64>,
    /// The weight of each class.
    weights: Vec<f64>,
    dim: usize,
    /// The mean variance of a feature within its class.
    variance: f64,
}

impl Discriminant {
    /// Measures `rows`.
    ///
    /// # Errors
    /// Those of [`Normal::measure`], and [`FitError::Singular`] where no row differs from the mean of its class.
    pub fn measure(rows: &Rows<'_>) -> Result<Self, FitError> {
        let weighted = Weighted::new(rows)?;
        let dim = rows.shape.dim;
        let (mut means, weights) = (weighted.class_sums(), weighted.class_weights());
        for (mean, weight) in means.chunks_exact_mut(dim).zip(&weights) {
            // A class without weight has no rows to be measured against its mean.
            mean.iter_mut().for_each(|sum| *sum /= weight.max(f64::MIN_POSITIVE));
        }
        let of = |class: u32| &means[class as usize * dim..(class as usize + 1) * dim];
        let normal = weighted.normal(&of)?;
        let variance = weighted.squares(&of) / (weights.iter().sum::<f64>() * dim as f64);
        if variance.is_nan() || variance <= 0.0 {
            return Err(FitError::Singular);
        }
        Ok(Self { normal, means, weights, dim, variance })
    }

    /// The head for one shrinkage, above 0 and at most 1.
    ///
    /// # Errors
    /// Those of [`Normal::solve`].
    pub fn head(&self, shrinkage: f64) -> Result<LinearHead, FitError> {
        let (dim, classes) = (self.dim, self.weights.len());
        let total: f64 = self.weights.iter().sum();
        let means = Tensor::from_slice(&self.means, (classes, dim), &Device::Cpu)?;
        let right = means.t()?.contiguous()?;
        let along = shrinkage * self.variance;
        // Σ⁻¹·M = (A/n·(1-s) + along·I)⁻¹·M = n/(1-s)·(A + n·along/(1-s)·I)⁻¹·M.
        let solved = if shrinkage < 1.0 {
            let factor = total / (1.0 - shrinkage);
            (self.normal.solve(factor * along, &right)? * factor)?
        } else {
            (right / along)?
        };
        let solved = solved.to_vec2::<f64>()?;
        let bias = (0..classes).map(|class| {
            let mean = &self.means[class * dim..(class + 1) * dim];
            let length: f64 = mean.iter().zip(&solved).map(|(mean, row)| mean * row[class]).sum();
            // Half a row more for each class, so that one without weight has a logit.
            let part = (self.weights[class] + 0.5) / (total + 0.5 * classes as f64);
            (part.ln() - length / 2.0) as f32
        });
        let bias = bias.collect();
        Ok(LinearHead { weights: solved.iter().flatten().map(|w| *w as f32).collect(), bias, dimension: dim, classes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::Case;
    use super::*;

    /// Solves a small system by elimination, in f64.
    fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
        let n = b.len();
        for k in 0..n {
            for i in k + 1..n {
                let factor = a[i][k] / a[k][k];
                let pivot = a[k].clone();
                a[i].iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
                b[i] -= factor * b[k];
            }
        }
        for k in (0..n).rev() {
            let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
            b[k] = (b[k] - known) / a[k][k];
        }
        b
    }

    #[test]
    fn weights_are_those_of_the_textbook() {
        for rows in [12, 60] {
            let (dim, classes) = (15, 3);
            let case = Case::random(rows, dim, classes, 2);
            let x = |row: usize, j: usize| f64::from(case.features[row * dim + j]);
            let members = |class: usize| (0..rows).filter(move |row| row % classes == class);
            let mean =
                |class: usize, j: usize| members(class).map(|row| x(row, j)).sum::<f64>() / (rows / classes) as f64;
            let mut covariance = vec![vec![0.0; dim]; dim];
            for row in 0..rows {
                let far: Vec<f64> = (0..dim).map(|j| x(row, j) - mean(row % classes, j)).collect();
                for i in 0..dim {
                    (0..dim).for_each(|j| covariance[i][j] += far[i] * far[j] / rows as f64);
                }
            }
            let shrinkage = 0.3;
            let trace: f64 = (0..dim).map(|j| covariance[j][j]).sum::<f64>() / dim as f64;
            for (i, row) in covariance.iter_mut().enumerate() {
                row.iter_mut().for_each(|x| *x *= 1.0 - shrinkage);
                row[i] += shrinkage * trace;
            }
            let head = Discriminant::measure(&case.rows()).unwrap().head(shrinkage).unwrap();
            for class in 0..classes {
                let expected = solve(covariance.clone(), (0..dim).map(|j| mean(class, j)).collect());
                for (j, expected) in expected.iter().enumerate() {
                    let found = f64::from(head.weights[j * classes + class]);
                    assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
                }
            }
        }
    }
}
