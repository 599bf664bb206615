//! Least squares to the class of each row, with a penalty, in closed form: `W = (Xᵀ·D·X/n + l2·I)⁻¹·Xᵀ·D·Y/n` over centred `X`
//! and one column of `Y` a class, 1 for the rows of the class and 0 for the others; `D` holds the weights of the rows and `n` is
//! their sum.

use candle_core::{Device, Tensor};

use super::FitError;
use super::data::Rows;
use super::head::LinearHead;
use super::normal::Normal;
use super::weighted::Weighted;

/// The equations of some rows, ready for any L2.
#[derive(Debug)]
pub struct Ridge {
    normal: Normal,
    /// `Xᵀ·D·Y`, f64 `[dim, classes]`.
    right: Tensor,
    /// The mean of the rows, and the part of each class.
    mean: Vec<f64>,
    parts: Vec<f64>,
    /// The sum of the weights.
    weight: f64,
}

impl Ridge {
    /// Measures `rows`.
    ///
    /// # Errors
    /// Those of [`Normal::measure`].
    pub fn measure(rows: &Rows<'_>) -> Result<Self, FitError> {
        let weighted = Weighted::new(rows)?;
        let shape = rows.shape;
        let (mean, sums) = (weighted.mean(), weighted.class_sums());
        let normal = weighted.normal(&|_| &mean)?;
        let totals = weighted.class_weights();
        // Xᵀ·D·Y for centred X: the sum of a class less its weight times the mean.
        let mut right = vec![0.0; shape.weights()];
        for (class, sum) in sums.chunks_exact(shape.dim).enumerate() {
            for (j, x) in sum.iter().enumerate() {
                right[j * shape.classes + class] = x - totals[class] * mean[j];
            }
        }
        let weight: f64 = totals.iter().sum();
        let parts = totals.iter().map(|total| total / weight).collect();
        let right = Tensor::from_vec(right, (shape.dim, shape.classes), &Device::Cpu)?;
        Ok(Self { normal, right, mean, parts, weight })
    }

    /// The head for one L2.
    ///
    /// # Errors
    /// Those of [`Normal::solve`].
    pub fn head(&self, l2: f64) -> Result<LinearHead, FitError> {
        let solved = self.normal.solve(l2 * self.weight, &self.right)?.to_vec2::<f64>()?;
        let bias = (0..self.parts.len())
            .map(|class| {
                let moved: f64 = solved.iter().zip(&self.mean).map(|(row, mean)| row[class] * mean).sum();
                (self.parts[class] - moved) as f32
            })
            .collect();
        let weights = solved.iter().flatten().map(|w| *w as f32).collect();
        Ok(LinearHead { weights, bias, dimension: self.mean.len(), classes: self.parts.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::Case;
    use super::*;

    #[test]
    fn the_gradient_is_zero_at_the_solution() {
        for rows in [15, 80] {
            let case = Case::random(rows, 20, 3, 6);
            let l2 = 0.1;
            let head = Ridge::measure(&case.rows()).unwrap().head(l2).unwrap();
            let logits = head.logits(case.features.clone(), rows).unwrap();
            let residual = |row: usize, class: usize| {
                f64::from(logits[row * 3 + class]) - f64::from(u8::from(case.labels[row] as usize == class))
            };
            for class in 0..3 {
                let along_bias: f64 = (0..rows).map(|row| residual(row, class)).sum::<f64>() / rows as f64;
                assert!(along_bias.abs() < 1e-5, "{along_bias}");
                for j in 0..20 {
                    let slope: f64 =
                        (0..rows).map(|row| residual(row, class) * f64::from(case.features[row * 20 + j])).sum();
                    let slope = slope / rows as f64 + l2 * f64::from(head.weights[j * 3 + class]);
                    assert!(slope.abs() < 1e-4, "{rows} {slope}");
                }
            }
        }
    }
}
