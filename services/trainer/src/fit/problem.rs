//! What is fitted on, made ready: standardised features with what is right for them, and views of some of them.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use super::labels::{LabelSets, SetRows, Truth};
use super::loss::Loss;
use super::softmax_rows::RowSums;
use super::views::Views;
use super::{FitError, HeadShape, sigmoid_rows};

/// Standardised features and their classes, train rows first.
#[derive(Debug)]
pub struct Problem {
    pub(super) features: Tensor,
    pub(super) labels: Vec<u32>,
    pub(super) sets: Option<LabelSets>,
    pub(super) weights: Option<Vec<f32>>,
    pub(super) views: Views,
    pub(super) loss: Loss,
    pub(super) train: usize,
    pub(super) shape: HeadShape,
}

/// Some of the rows of a [`Problem`]; a view that copies no feature.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// `[rows, shape.dim]`, standardised.
    pub features: Tensor,
    /// The class of each row; where rows have sets, what they are dealt by.
    pub labels: &'a [u32],
    /// The labels of each row, where it may have several or none.
    pub sets: Option<SetRows<'a>>,
    /// How much each row counts; all 1 where there are none.
    pub weights: Option<Arc<[f32]>>,
    /// What is minimised over them.
    pub loss: Loss,
    /// The shape of the head that they fit.
    pub shape: HeadShape,
}

impl Rows<'_> {
    /// What all rows count together.
    pub fn weight(&self) -> f64 {
        match &self.weights {
            Some(weights) => weights.iter().map(|weight| f64::from(*weight)).sum(),
            None => self.labels.len() as f64,
        }
    }

    /// Turns the `logits` of the rows in `range`, without their bias, into residuals in place, as [`Loss::residuals`] does.
    pub fn residuals(&self, logits: &mut [f32], range: Range<usize>, weights: Option<&[f32]>, bias: &[f32]) -> RowSums {
        match (self.loss, self.sets) {
            (Loss::Sigmoid { smoothing }, Some(sets)) => {
                sigmoid_rows::residuals(logits, Truth::Sets(sets.slice(range)), weights, smoothing as f32, bias)
            }
            (loss, _) => loss.residuals(logits, &self.labels[range], weights, bias),
        }
    }
}

impl Problem {
    /// The class of each row; where rows have sets, what they are dealt by.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// What is right for each row.
    pub fn truth(&self) -> Truth<'_> {
        match &self.sets {
            Some(sets) => Truth::Sets(sets.rows()),
            None => Truth::One(&self.labels),
        }
    }

    /// How many values [`labels`](Self::labels) may have: one more than classes where rows may have none.
    pub fn strata(&self) -> usize {
        self.shape.classes + usize::from(self.sets.is_some())
    }

    /// How many train rows there are; they come first.
    pub fn train_count(&self) -> usize {
        self.train
    }

    /// Which rows are further views of an example.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// How many examples there are, train and validation together: their views are not counted.
    pub fn examples(&self) -> usize {
        self.views.own(0..self.labels.len()).count()
    }

    /// The rows of the validation examples, without their views; there may be none.
    pub fn validation_rows(&self) -> Range<usize> {
        self.train..self.train + self.views.own(self.train..self.labels.len()).count()
    }

    /// The fold of each row, where the examples are dealt into `folds`; views follow their examples.
    pub fn deal(&self, folds: usize, seed: u64) -> Vec<usize> {
        self.views.deal(&self.labels, self.strata(), folds, seed)
    }

    /// The shape of the head that it fits.
    pub fn shape(&self) -> HeadShape {
        self.shape
    }

    /// What is minimised.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The same rows, all of them to fit on.
    pub fn without_validation(&self) -> Problem {
        let (features, labels, weights) = (self.features.clone(), self.labels.clone(), self.weights.clone());
        let (sets, views) = (self.sets.clone(), self.views.clone());
        Problem { train: labels.len(), features, labels, sets, weights, views, loss: self.loss, shape: self.shape }
    }

    /// The train rows.
    pub fn train(&self) -> Result<Rows<'_>, FitError> {
        self.rows(0, self.train)
    }

    /// The validation rows, without views; there may be none.
    pub fn validation(&self) -> Result<Option<Rows<'_>>, FitError> {
        let count = self.validation_rows().len();
        if count == 0 { Ok(None) } else { self.rows(self.train, count).map(Some) }
    }

    /// Train and validation rows together.
    pub fn everything(&self) -> Rows<'_> {
        let (weights, sets) = (self.weights.as_deref().map(Arc::from), self.sets.as_ref().map(LabelSets::rows));
        Rows {
            features: self.features.clone(),
            labels: &self.labels,
            sets,
            weights,
            loss: self.loss,
            shape: self.shape,
        }
    }

    /// Where a fit starts that has nothing better: no weights, and the biases of the class frequencies (each class given
    /// half an example more, so that one that is missing from the train rows has a bias).
    pub fn start(&self) -> Vec<f64> {
        let counts = self.truth().slice(0..self.train).counts(self.shape.classes);
        // Of a label in sets, it is either half an example that has it, or half an example that has not.
        let halves = if self.sets.is_some() { 2 } else { self.shape.classes };
        let total = self.train as f64 + 0.5 * halves as f64;
        let mut parameters = vec![0.0; self.shape.weights()];
        parameters.extend(counts.iter().map(|count| self.loss.bias((*count as f64 + 0.5) / total)));
        parameters
    }

    fn rows(&self, start: usize, count: usize) -> Result<Rows<'_>, FitError> {
        let features = self.features.narrow(0, start, count)?;
        let range = start..start + count;
        let weights = self.weights.as_ref().map(|weights| Arc::from(&weights[range.clone()]));
        let sets = self.sets.as_ref().map(|sets| sets.rows().slice(range.clone()));
        Ok(Rows { features, labels: &self.labels[range], sets, weights, loss: self.loss, shape: self.shape })
    }
}
