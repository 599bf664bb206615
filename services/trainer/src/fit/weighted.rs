//! Weighted sums over rows that the closed forms share, in f64.

use std::ops::Range;

use super::data::Rows;
use super::normal::Normal;
use super::{FitError, HeadShape};

/// Rows with their weights.
pub struct Weighted<'a> {
    features: Vec<f32>,
    labels: &'a [u32],
    weights: Vec<f64>,
    shape: HeadShape,
}

impl<'a> Weighted<'a> {
    /// A copy of the features of `rows`, with a weight for each.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn new(rows: &Rows<'a>) -> Result<Self, FitError> {
        let weights = match &rows.weights {
            Some(weights) => weights.iter().map(|weight| f64::from(*weight)).collect(),
            None => vec![1.0; rows.labels.len()],
        };
        Ok(Self {
            features: rows.features.flatten_all()?.to_vec1::<f32>()?,
            labels: rows.labels,
            weights,
            shape: rows.shape,
        })
    }

    /// The mean of all rows, `[dim]`.
    pub fn mean(&self) -> Vec<f64> {
        let total: f64 = self.weights.iter().sum();
        let mut mean = vec![0.0; self.shape.dim];
        for (row, weight) in self.features.chunks_exact(self.shape.dim).zip(&self.weights) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight / total * f64::from(*x));
        }
        mean
    }

    /// The sum of the rows of each class, `[classes, dim]`.
    pub fn class_sums(&self) -> Vec<f64> {
        let dim = self.shape.dim;
        let mut sums = vec![0.0; self.shape.weights()];
        for ((row, weight), class) in self.features.chunks_exact(dim).zip(&self.weights).zip(self.labels) {
            let sum = &mut sums[*class as usize * dim..(*class as usize + 1) * dim];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
        }
        sums
    }

    /// The weight of each class.
    pub fn class_weights(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.shape.classes];
        self.labels.iter().zip(&self.weights).for_each(|(class, weight)| totals[*class as usize] += weight);
        totals
    }

    /// The sum of the squared distances of the rows from what `centre` gives for their class.
    pub fn squares<'b>(&self, centre: &dyn Fn(u32) -> &'b [f64]) -> f64 {
        let rows = self.features.chunks_exact(self.shape.dim).zip(&self.weights).zip(self.labels);
        rows.map(|((row, weight), class)| {
            let distance = |(x, centre): (&f32, &f64)| (f64::from(*x) - centre).powi(2);
            weight * row.iter().zip(centre(*class)).map(distance).sum::<f64>()
        })
        .sum()
    }

    /// The equations of the rows less what `centre` gives for their class, each times the root of its weight.
    ///
    /// # Errors
    /// Those of [`Normal::measure`].
    pub fn normal<'b>(&self, centre: &dyn Fn(u32) -> &'b [f64]) -> Result<Normal, FitError> {
        let dim = self.shape.dim;
        let take = |range: Range<usize>| {
            let rows = self.features[range.start * dim..range.end * dim].chunks_exact(dim);
            let rows = rows.zip(&self.weights[range.clone()]).zip(&self.labels[range]);
            rows.flat_map(|((row, weight), class)| {
                let root = weight.sqrt();
                row.iter().zip(centre(*class)).map(move |(x, centre)| (root * (f64::from(*x) - centre)) as f32)
            })
            .collect()
        };
        Normal::measure(self.labels.len(), dim, &take)
    }
}
