//! A fitted head: what serving needs, and nothing else.
//!
//! # Layout
//! - [`linear`]: `x·W + b`, whatever fitted it.
//! - [`cosine`]: nearest class mean and nearest neighbours, both by the angle between embeddings.
//! - [`perceptron`]: one hidden layer.
//! - [`file`](mod@file): the bytes of a head.

use std::collections::HashMap;

pub mod cosine;
pub mod file;
pub mod linear;
pub mod perceptron;

pub use cosine::{NeighboursHead, PrototypeHead};
pub use file::{HeadError, bytes, floats};
pub use linear::LinearHead;
pub use perceptron::PerceptronHead;

use file::Contents;

/// A classifier of embeddings, of one of the kinds that there are.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// `x·W + b`, one class an image: softmax, ridge or LDA.
    Linear(LinearHead),
    /// `x·W + b`, any number of labels an image, each on its own.
    Sigmoid {
        /// One column a label.
        linear: LinearHead,
        /// `[classes]`: the probability from which on a label is given.
        thresholds: Vec<f32>,
    },
    /// The angle to the mean of each class.
    Prototype(PrototypeHead),
    /// The classes of the nearest examples.
    Neighbours(NeighboursHead),
    /// One hidden layer.
    Perceptron(PerceptronHead),
}

/// What makes a row of logits probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Classes that exclude each other: their probabilities add up to one.
    Softmax,
    /// Labels that each have a probability of their own.
    Sigmoid,
}

impl Link {
    /// Turn one row of logits into probabilities.
    pub fn probabilities(self, logits: &mut [f32]) {
        match self {
            Link::Softmax => softmax(logits),
            Link::Sigmoid => logits.iter_mut().for_each(|logit| *logit = sigmoid(*logit)),
        }
    }
}

/// The names of the kinds in the metadata of a file. A file without one is of a linear head.
const KIND: &str = "kind";
const SIGMOID: &str = "sigmoid";
const PROTOTYPE: &str = "prototype";
const NEIGHBOURS: &str = "knn";
const PERCEPTRON: &str = "mlp";

impl Head {
    /// The logits of `rows` embeddings, `[rows, classes]`.
    ///
    /// # Errors
    /// Embeddings that are not `rows` times the dimension.
    pub fn logits(&self, embeddings: Vec<f32>, rows: usize) -> Result<Vec<f32>, candle_core::Error> {
        match self {
            Head::Linear(linear) | Head::Sigmoid { linear, .. } => linear.logits(embeddings, rows),
            Head::Prototype(prototype) => prototype.logits(embeddings, rows),
            Head::Neighbours(neighbours) => neighbours.logits(embeddings, rows),
            Head::Perceptron(perceptron) => perceptron.logits(embeddings, rows),
        }
    }

    /// Turn one row of logits into probabilities: those of the classes, which add up to one; or of a sigmoid head's labels, each
    /// on its own.
    pub fn probabilities(&self, logits: &mut [f32]) {
        self.link().probabilities(logits);
    }

    /// What makes its logits probabilities.
    pub fn link(&self) -> Link {
        if matches!(self, Head::Sigmoid { .. }) { Link::Sigmoid } else { Link::Softmax }
    }

    /// Divides every logit by `temperature`: above 1 the probabilities become less certain, and none changes its rank. The
    /// thresholds of labels move with their probabilities, so that the same labels are given.
    pub fn scale(&mut self, temperature: f64) {
        match self {
            Head::Linear(linear) => linear.scale(temperature),
            Head::Sigmoid { linear, thresholds } => {
                linear.scale(temperature);
                thresholds.iter_mut().for_each(|threshold| *threshold = cooled(*threshold, temperature));
            }
            Head::Prototype(prototype) => prototype.sharpness = (f64::from(prototype.sharpness) / temperature) as f32,
            Head::Neighbours(neighbours) => neighbours.factor = (f64::from(neighbours.factor) / temperature) as f32,
            Head::Perceptron(perceptron) => perceptron.scale(temperature),
        }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        match self {
            Head::Linear(linear) | Head::Sigmoid { linear, .. } => linear.classes,
            Head::Prototype(prototype) => prototype.classes(),
            Head::Neighbours(neighbours) => neighbours.classes,
            Head::Perceptron(perceptron) => perceptron.classes(),
        }
    }

    /// Numbers in an embedding.
    pub fn dimension(&self) -> usize {
        match self {
            Head::Linear(linear) | Head::Sigmoid { linear, .. } => linear.dimension,
            Head::Prototype(prototype) => prototype.space.dimension(),
            Head::Neighbours(neighbours) => neighbours.space.dimension(),
            Head::Perceptron(perceptron) => perceptron.dimension(),
        }
    }

    /// Its weights, if logits are `x·W + b`: many such heads can be one matrix product.
    pub fn linear(&self) -> Option<&LinearHead> {
        match self {
            Head::Linear(linear) | Head::Sigmoid { linear, .. } => Some(linear),
            _ => None,
        }
    }

    /// From which probability on each label is given, `[classes]`; `None` of heads that give each example one class.
    pub fn thresholds(&self) -> Option<&[f32]> {
        match self {
            Head::Sigmoid { thresholds, .. } => Some(thresholds),
            _ => None,
        }
    }

    /// Numbers that it holds.
    pub fn size(&self) -> usize {
        match self {
            Head::Linear(linear) => linear.size(),
            Head::Sigmoid { linear, thresholds } => linear.size() + thresholds.len(),
            Head::Prototype(prototype) => prototype.size(),
            Head::Neighbours(neighbours) => neighbours.size(),
            Head::Perceptron(perceptron) => perceptron.size(),
        }
    }

    /// The tensors of its file.
    pub fn tensors(&self) -> &'static [&'static str] {
        match self {
            Head::Linear(_) => &["bias", "weight"],
            Head::Sigmoid { .. } => &["bias", "threshold", "weight"],
            Head::Prototype(_) => &["mean", "means", "scale", "sharpness"],
            Head::Neighbours(_) => &["examples", "factor", "mean", "owners", "scale"],
            Head::Perceptron(_) => &["bias", "hidden.bias", "hidden.weight", "weight"],
        }
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        match self {
            Head::Linear(linear) => finite(&linear.weights) && finite(&linear.bias),
            Head::Sigmoid { linear, thresholds } => {
                finite(&linear.weights) && finite(&linear.bias) && finite(thresholds)
            }
            Head::Prototype(prototype) => {
                finite(&prototype.means) && prototype.sharpness.is_finite() && prototype.space.is_finite()
            }
            Head::Neighbours(neighbours) => {
                finite(&neighbours.examples) && neighbours.factor.is_finite() && neighbours.space.is_finite()
            }
            Head::Perceptron(perceptron) => perceptron.is_finite(),
        }
    }

    /// As a safetensors file, with `metadata` beside the tensors. The same head and metadata give the same bytes.
    ///
    /// # Errors
    /// Numbers that do not fit the shapes.
    pub fn to_safetensors(&self, metadata: HashMap<String, String>) -> Result<Vec<u8>, HeadError> {
        let mut contents = Contents::new(metadata);
        match self {
            Head::Linear(linear) => linear.write(&mut contents),
            Head::Sigmoid { linear, thresholds } => {
                contents.note(KIND, SIGMOID);
                linear.write(&mut contents);
                contents.tensor("threshold", vec![thresholds.len()], thresholds);
            }
            Head::Prototype(prototype) => {
                contents.note(KIND, PROTOTYPE);
                prototype.write(&mut contents);
            }
            Head::Neighbours(neighbours) => {
                contents.note(KIND, NEIGHBOURS);
                neighbours.write(&mut contents);
            }
            Head::Perceptron(perceptron) => {
                contents.note(KIND, PERCEPTRON);
                perceptron.write(&mut contents);
            }
        }
        contents.to_bytes()
    }

    /// Read what [`to_safetensors`](Self::to_safetensors) wrote, now or in an earlier version.
    ///
    /// # Errors
    /// Bytes that are no head.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Head, HeadError> {
        let contents = Contents::read(bytes)?;
        let head = match contents.notes.get(KIND).map(String::as_str) {
            None => Head::Linear(LinearHead::read(&contents)?),
            Some(SIGMOID) => {
                let linear = LinearHead::read(&contents)?;
                let thresholds = contents.numbers("threshold", &[linear.classes])?;
                Head::Sigmoid { linear, thresholds }
            }
            Some(PROTOTYPE) => Head::Prototype(PrototypeHead::read(&contents)?),
            Some(NEIGHBOURS) => Head::Neighbours(NeighboursHead::read(&contents)?),
            Some(PERCEPTRON) => Head::Perceptron(PerceptronHead::read(&contents)?),
            Some(kind) => return Err(HeadError::Kind(kind.to_owned())),
        };
        Ok(head)
    }
}

/// Turn one row of logits into probabilities that add up to one.
pub fn softmax(logits: &mut [f32]) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - most).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
}

/// The probability that a logit stands for on its own.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The probability of the logit of `probability` divided by `temperature`.
pub fn cooled(probability: f32, temperature: f64) -> f32 {
    let logit = f64::from(probability).ln() - f64::from(1.0 - probability).ln();
    sigmoid((logit / temperature) as f32)
}

/// The indices of the `k` largest, the largest first; of equals the first first.
pub fn top_k(probabilities: &[f32], k: usize) -> Vec<usize> {
    let larger = |a: &usize, b: &usize| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b));
    if k == 1 {
        return (0..probabilities.len()).min_by(larger).into_iter().collect();
    }
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    if k == 0 {
        order.clear();
    } else if k < order.len() {
        order.select_nth_unstable_by(k - 1, larger);
        order.truncate(k);
    }
    order.sort_unstable_by(larger);
    order
}

#[cfg(test)]
mod tests;
