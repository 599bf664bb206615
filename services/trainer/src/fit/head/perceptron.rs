//! One hidden layer: `logits = relu(x·W₁ + b₁)·W₂ + b₂`.

use super::LinearHead;
use super::file::{Contents, HeadError};

/// A classifier with one hidden layer.
#[derive(Clone, Debug, PartialEq)]
pub struct PerceptronHead {
    /// From embeddings to hidden numbers.
    pub hidden: LinearHead,
    /// From hidden numbers to logits.
    pub output: LinearHead,
}

impl PerceptronHead {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
    pub fn logits(&self, embeddings: Vec<f32>, rows: usize) -> Result<Vec<f32>, candle_core::Error> {
        let mut hidden = self.hidden.logits(embeddings, rows)?;
        hidden.iter_mut().for_each(|x| *x = x.max(0.0));
        self.output.logits(hidden, rows)
    }

    /// Divides every logit by `temperature`.
    pub fn scale(&mut self, temperature: f64) {
        self.output.scale(temperature);
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.output.classes
    }

    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        self.hidden.dimension
    }

    pub(super) fn size(&self) -> usize {
        self.hidden.size() + self.output.size()
    }

    pub(super) fn is_finite(&self) -> bool {
        let LinearHead { weights: first, bias: second, .. } = &self.hidden;
        let LinearHead { weights: third, bias: fourth, .. } = &self.output;
        [first, second, third, fourth].into_iter().flatten().all(|number| number.is_finite())
    }

    pub(super) fn write(&self, contents: &mut Contents) {
        self.output.write(contents);
        let (dimension, width) = (self.hidden.dimension, self.hidden.classes);
        contents.tensor("hidden.weight", vec![dimension, width], &self.hidden.weights);
        contents.tensor("hidden.bias", vec![width], &self.hidden.bias);
    }

    pub(super) fn read(contents: &Contents) -> Result<PerceptronHead, HeadError> {
        let output = LinearHead::read(contents)?;
        let (dimension, classes) = contents.matrix("hidden.weight")?;
        // The two layers must fit together.
        let width = output.dimension;
        let weights = contents.numbers("hidden.weight", &[dimension, width])?;
        let bias = contents.numbers("hidden.bias", &[classes])?;
        Ok(PerceptronHead { hidden: LinearHead { weights, bias, dimension, classes }, output })
    }
}
