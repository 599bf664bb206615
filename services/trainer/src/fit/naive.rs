//! The objective written as plainly as it can be, in f64, for the tests to compare with.

use candle_core::{Device, Tensor};

use super::HeadShape;
use super::data::Rows;

/// Random features and classes.
pub struct Case {
    pub features: Vec<f32>,
    pub labels: Vec<u32>,
    pub shape: HeadShape,
    pub seed: u64,
}

/// A small generator (splitmix64), so that a case is its seed and nothing else.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from -1 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

impl Case {
    /// Features evenly from -2 to 2, moved a little by the class; classes in turn.
    pub fn random(rows: usize, dim: usize, classes: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut features = Vec::with_capacity(rows * dim);
        for row in 0..rows {
            for column in 0..dim {
                let moved = if column % classes == row % classes { 0.5 } else { 0.0 };
                features.push((random.unit() * 2.0 + moved) as f32);
            }
        }
        let labels = (0..rows).map(|row| (row % classes) as u32).collect();
        Self { features, labels, shape: HeadShape { dim, classes }, seed }
    }

    pub fn parameters(&self) -> Vec<f64> {
        let mut random = Random(self.seed ^ 0xabcd);
        // Such as f32 holds exactly: the comparison is of the arithmetic, not of the rounding of its input.
        (0..self.shape.parameters()).map(|_| f64::from(random.unit() as f32)).collect()
    }

    pub fn rows(&self) -> Rows<'_> {
        let size = (self.labels.len(), self.shape.dim);
        let features = Tensor::from_slice(&self.features, size, &Device::Cpu).unwrap();
        Rows { features, labels: &self.labels, weights: None, shape: self.shape }
    }

    /// Value and gradient of the objective.
    pub fn evaluate(&self, parameters: &[f64], l2: f64) -> (f64, Vec<f64>) {
        let HeadShape { dim, classes } = self.shape;
        let n = self.labels.len() as f64;
        let weights = dim * classes;
        let mut value = l2 / 2.0 * parameters[..weights].iter().map(|w| w * w).sum::<f64>();
        let mut gradient: Vec<f64> =
            parameters.iter().enumerate().map(|(at, p)| if at < weights { l2 * p } else { 0.0 }).collect();
        for (x, &label) in self.features.chunks(dim).zip(&self.labels) {
            let logit = |class: usize| {
                let dot: f64 = (0..dim).map(|j| f64::from(x[j]) * parameters[j * classes + class]).sum();
                dot + parameters[weights + class]
            };
            let logits: Vec<f64> = (0..classes).map(logit).collect();
            let total: f64 = logits.iter().map(|z| z.exp()).sum();
            value -= (logits[label as usize] - total.ln()) / n;
            for class in 0..classes {
                let residual = (logits[class].exp() / total - f64::from(u8::from(class == label as usize))) / n;
                (0..dim).for_each(|j| gradient[j * classes + class] += residual * f64::from(x[j]));
                gradient[weights + class] += residual;
            }
        }
        (value, gradient)
    }
}

pub fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

pub fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
