//! Fits a head with one hidden layer: AdamW on minibatches, dropout, and a learning rate that falls along a cosine. How many
//! epochs are best is for the caller to find out, on rows that are not fitted on.
//!
//! The gradient is written by hand: `logits = relu(x·W₁ + b₁)∘mask·W₂ + b₂`, `R` the residuals of the rows over their weight,
//! `∂W₂ = hᵀ·R`, `∂h = R·W₂ᵀ∘mask∘[h > 0]`, `∂W₁ = xᵀ·∂h`.

use candle_core::{Device, Tensor};

use super::adamw::AdamW;
use super::data::Rows;
use super::head::{LinearHead, PerceptronHead};
use super::random::Random;
use super::softmax_rows::residuals;
use super::{FitError, HeadShape};

/// The most epochs; the learning rate falls to 0 along them, however many are taken.
pub const MAX_EPOCHS: usize = 40;
/// Numbers in the hidden layer.
const WIDTH: usize = 256;
/// Rows in a minibatch.
const BATCH: usize = 128;
/// The part of the hidden numbers that are left out of each row (Srivastava et al. 2014, whose value for hidden layers is 0.5;
/// half of it suits features that are frozen).
const DROPOUT: f64 = 0.25;
/// The highest learning rate; the default of AdamW.
const RATE: f64 = 1e-3;

/// A fit under way.
pub struct Perceptron<'a> {
    rows: Rows<'a>,
    smoothing: f32,
    random: Random,
    /// `[dim, WIDTH]`, `[WIDTH]`, `[WIDTH, classes]`, `[classes]`.
    layers: [AdamW; 4],
    epochs: usize,
}

impl<'a> Perceptron<'a> {
    /// Weights drawn by chance (He et al. 2015), nothing fitted yet.
    pub fn new(rows: Rows<'a>, smoothing: f64, seed: u64) -> Self {
        let HeadShape { dim, classes } = rows.shape;
        let mut random = Random::new(seed);
        let mut drawn = |count: usize, inputs: usize| {
            let bound = (6.0 / inputs as f64).sqrt();
            AdamW::new((0..count).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32).collect(), true)
        };
        let (hidden, output) = (drawn(dim * WIDTH, dim), drawn(WIDTH * classes, WIDTH));
        let layers = [hidden, AdamW::new(vec![0.0; WIDTH], false), output, AdamW::new(vec![0.0; classes], false)];
        Self { rows, smoothing: smoothing as f32, random, layers, epochs: 0 }
    }

    /// One pass over the rows, in an order drawn by chance; the mean log loss on the way, in nats. `go_on` is asked before each
    /// minibatch.
    ///
    /// # Errors
    /// [`FitError::Cancelled`], and those of the tensor operations.
    pub fn epoch(&mut self, go_on: &mut dyn FnMut() -> bool) -> Result<f64, FitError> {
        let mut order: Vec<u32> = (0..self.rows.labels.len() as u32).collect();
        self.random.shuffle(&mut order);
        let batches = order.len().div_ceil(BATCH);
        let (mut loss, mut weight) = (0.0, 0.0);
        for (index, batch) in order.chunks(BATCH).enumerate() {
            if !go_on() {
                return Err(FitError::Cancelled);
            }
            let progress = (self.epochs as f64 + index as f64 / batches as f64) / MAX_EPOCHS as f64;
            let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos());
            let (batch_loss, batch_weight) = self.step(batch, rate)?;
            loss += batch_loss;
            weight += batch_weight;
        }
        self.epochs += 1;
        Ok(if weight > 0.0 { loss / weight } else { 0.0 })
    }

    /// The head as it stands.
    pub fn head(&self) -> PerceptronHead {
        let HeadShape { dim, classes } = self.rows.shape;
        let layer = |at: usize, dimension: usize, classes: usize| {
            let (weights, bias) = (self.layers[at].values().to_vec(), self.layers[at + 1].values().to_vec());
            LinearHead { weights, bias, dimension, classes }
        };
        PerceptronHead { hidden: layer(0, dim, WIDTH), output: layer(2, WIDTH, classes) }
    }

    /// One minibatch: its summed log loss and weight.
    fn step(&mut self, batch: &[u32], rate: f64) -> Result<(f64, f64), FitError> {
        let HeadShape { dim, classes } = self.rows.shape;
        let labels: Vec<u32> = batch.iter().map(|row| self.rows.labels[*row as usize]).collect();
        let weights: Option<Vec<f32>> =
            self.rows.weights.as_ref().map(|weights| batch.iter().map(|row| weights[*row as usize]).collect());
        let weight = weights.as_ref().map_or(batch.len() as f64, |w| w.iter().map(|w| f64::from(*w)).sum());
        if weight == 0.0 {
            return Ok((0.0, 0.0));
        }
        let x = self.rows.features.index_select(&Tensor::from_slice(batch, batch.len(), &Device::Cpu)?, 0)?;
        let w1 = self.layers[0].tensor((dim, WIDTH))?;
        let w2 = self.layers[2].tensor((WIDTH, classes))?;

        let mut hidden = x.matmul(&w1)?.flatten_all()?.to_vec1::<f32>()?;
        let mask = self.activate(&mut hidden);
        let hidden = Tensor::from_vec(hidden, (batch.len(), WIDTH), &Device::Cpu)?;
        let mut logits = hidden.matmul(&w2)?.flatten_all()?.to_vec1::<f32>()?;
        let sums = residuals(&mut logits, &labels, weights.as_deref(), self.smoothing, self.layers[3].values());
        logits.iter_mut().for_each(|r| *r = (f64::from(*r) / weight) as f32);

        let output_bias = column_sums(&logits, classes);
        let residuals = Tensor::from_vec(logits, (batch.len(), classes), &Device::Cpu)?;
        let output = hidden.t()?.matmul(&residuals)?.flatten_all()?.to_vec1::<f32>()?;
        let mut back = residuals.matmul(&w2.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        back.iter_mut().zip(&mask).for_each(|(back, mask)| *back *= mask);
        let hidden_bias = column_sums(&back, WIDTH);
        let back = Tensor::from_vec(back, (batch.len(), WIDTH), &Device::Cpu)?;
        let hidden = x.t()?.matmul(&back)?.flatten_all()?.to_vec1::<f32>()?;

        for (layer, gradient) in self.layers.iter_mut().zip([hidden, hidden_bias, output, output_bias]) {
            layer.step(&gradient, rate);
        }
        Ok((sums.log_loss, weight))
    }

    /// Adds the bias, cuts off below 0 and leaves numbers out; what each number's derivative is to be multiplied by.
    fn activate(&mut self, hidden: &mut [f32]) -> Vec<f32> {
        let kept = (1.0 / (1.0 - DROPOUT)) as f32;
        let bias = self.layers[1].values();
        let mut mask = Vec::with_capacity(hidden.len());
        for row in hidden.chunks_exact_mut(WIDTH) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += bias;
                let factor = if *x > 0.0 && self.random.unit() >= DROPOUT { kept } else { 0.0 };
                *x *= factor;
                mask.push(factor);
            }
        }
        mask
    }
}

/// The sum of each column of `[rows, columns]`.
fn column_sums(numbers: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; columns];
    for row in numbers.chunks_exact(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::super::naive::Case;
    use super::*;

    #[test]
    fn it_learns_what_no_linear_head_can() {
        // The class is whether two signs are the same.
        let mut random = Random::new(2);
        let features: Vec<f32> = (0..2000).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
        let labels = features.chunks(2).map(|x| u32::from((x[0] > 0.0) == (x[1] > 0.0))).collect();
        let case = Case { features, labels, shape: HeadShape { dim: 2, classes: 2 }, ..Case::random(2, 1, 2, 0) };
        let fit = || {
            let mut fit = Perceptron::new(case.rows(), 0.0, 7);
            let losses: Vec<f64> = (0..MAX_EPOCHS).map(|_| fit.epoch(&mut || true).unwrap()).collect();
            (fit.head(), losses)
        };
        let (head, losses) = fit();
        assert!(losses[MAX_EPOCHS - 1] < 0.3 * losses[0], "{losses:?}");
        let logits = head.logits(case.features.clone(), 1000).unwrap();
        let right = logits.chunks(2).zip(&case.labels).filter(|(row, label)| u32::from(row[1] > row[0]) == **label);
        assert!(right.count() > 950);
        assert_eq!(fit().0, head, "the same seed gives the same head");
        let mut stopped = Perceptron::new(case.rows(), 0.0, 7);
        assert!(matches!(stopped.epoch(&mut || false), Err(FitError::Cancelled)));
    }
}
