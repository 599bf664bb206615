//! What is minimised over the logits of a row.

use super::labels::Truth;
use super::sigmoid_rows;
use super::softmax_rows::{self, RowSums};

/// The loss of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// `-log softmax(z)[y]`: classes exclude each other.
    Softmax {
        /// The part of the truth that is spread evenly over all classes.
        smoothing: f64,
    },
    /// `-Σ_k log sigmoid(±z_k)`: each label on its own. The only one for rows with sets of labels.
    Sigmoid {
        /// The part of the truth that is spread evenly over yes and no.
        smoothing: f64,
    },
}

impl Loss {
    /// Turns `logits`, `[rows, bias.len()]` without their bias, into the derivatives of the loss by them in place, each row times
    /// its weight; every weight is 1 where none are given.
    pub fn residuals(self, logits: &mut [f32], labels: &[u32], weights: Option<&[f32]>, bias: &[f32]) -> RowSums {
        match self {
            Loss::Softmax { smoothing } => softmax_rows::residuals(logits, labels, weights, smoothing as f32, bias),
            Loss::Sigmoid { smoothing } => {
                sigmoid_rows::residuals(logits, Truth::One(labels), weights, smoothing as f32, bias)
            }
        }
    }

    /// The loss without smoothing, by which heads are compared.
    pub fn plain(self) -> Self {
        match self {
            Loss::Softmax { .. } => Loss::Softmax { smoothing: 0.0 },
            Loss::Sigmoid { .. } => Loss::Sigmoid { smoothing: 0.0 },
        }
    }

    /// The bias that fits a class best which is this part of the rows, if nothing else is known.
    pub fn bias(self, part: f64) -> f64 {
        match self {
            Loss::Softmax { .. } => part.ln(),
            Loss::Sigmoid { .. } => part.ln() - (1.0 - part).max(f64::MIN_POSITIVE).ln(),
        }
    }
}
