//! AdamW (Loshchilov and Hutter 2019, Decoupled weight decay regularization), algorithm 2, for one tensor.

use candle_core::{Device, Tensor};

/// Of the mean of the gradients and of the mean of their squares: the paper's values.
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// The part of each weight that is taken off for each unit of the learning rate: the paper's 0.01 for small sets is too little
/// for a few thousand rows of frozen features.
const DECAY: f64 = 0.05;

/// A tensor that is being fitted.
#[derive(Clone, Debug)]
pub struct AdamW {
    values: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
    decay: f64,
}

impl AdamW {
    /// From first values; biases are not made to decay.
    pub fn new(values: Vec<f32>, decays: bool) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { values, first: zeros.clone(), second: zeros, steps: 0, decay: if decays { DECAY } else { 0.0 } }
    }

    /// The values as they stand.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values as a matrix.
    ///
    /// # Errors
    /// Another count of numbers.
    pub fn tensor(&self, shape: (usize, usize)) -> Result<Tensor, candle_core::Error> {
        Tensor::from_slice(&self.values, shape, &Device::Cpu)
    }

    /// One step against the gradient.
    pub fn step(&mut self, gradient: &[f32], rate: f64) {
        self.steps = self.steps.saturating_add(1);
        let (first_part, second_part) = (1.0 - BETA_1.powi(self.steps), 1.0 - BETA_2.powi(self.steps));
        let (rate_now, shrink) = ((rate / first_part) as f32, (1.0 - rate * self.decay) as f32);
        let (beta_1, beta_2, epsilon) = (BETA_1 as f32, BETA_2 as f32, EPSILON as f32);
        let root = (1.0 / second_part).sqrt() as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, (first, second)), g) in self.values.iter_mut().zip(moments).zip(gradient) {
            *first = beta_1 * *first + (1.0 - beta_1) * g;
            *second = beta_2 * *second + (1.0 - beta_2) * g * g;
            *value = *value * shrink - rate_now * *first / (second.sqrt() * root + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_as_long_as_the_rate() {
        let mut tensor = AdamW::new(vec![1.0, 1.0, 0.0], false);
        tensor.step(&[5.0, -0.001, 0.0], 0.1);
        for (found, expected) in tensor.values().iter().zip([0.9, 1.1, 0.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn weights_decay_and_a_bowl_is_walked_down() {
        let mut still = AdamW::new(vec![1.0], true);
        still.step(&[0.0], 0.1);
        assert!((f64::from(still.values()[0]) - (1.0 - 0.1 * DECAY)).abs() < 1e-6);
        let mut bowl = AdamW::new(vec![3.0], false);
        (0..500).for_each(|_| bowl.step(&[bowl.values()[0] - 1.0], 0.05));
        assert!((bowl.values()[0] - 1.0).abs() < 0.05, "{:?}", bowl.values());
    }
}
