//! The rows to fit on, checked once.

use candle_core::{Device, Tensor};

use super::class_weights::ClassWeights;
use super::kind::HeadKind;
use super::labels::{LabelSets, Labels, Truth};
pub use super::problem::{Problem, Rows};
use super::standardise::Scaling;
use super::views::Views;
use super::{FitError, FitOptions, HeadShape};

/// The most parameters of a head. L-BFGS keeps some 26 f64 vectors of this length: 0.9 GB at the bound, which is
/// 3,200 classes of 1280 numbers.
pub const MAX_PARAMETERS: usize = 1 << 22;

/// The most that an example may count.
pub const MAX_WEIGHT: f32 = 1e6;

/// Embeddings and their classes, the train rows first and the validation rows after them. It owns the one copy of the
/// embeddings, which the fit standardises in place.
#[derive(Debug)]
pub struct TrainingData {
    /// `[rows, shape.dim]`, row-major.
    embeddings: Vec<f32>,
    /// The class of each row; where rows have sets, what they are dealt by.
    labels: Vec<u32>,
    /// The labels of each row, where it may have several or none.
    sets: Option<LabelSets>,
    /// How much each row counts; all the same where there are none.
    weights: Option<Vec<f32>>,
    /// Rows that are further views of an example.
    views: Views,
    /// Rows to fit on; those behind them are for validation.
    train: usize,
    shape: HeadShape,
}

impl TrainingData {
    /// Takes `embeddings`, `[rows, dim]` row-major, and the class of each row, below `classes`. The first `train` rows are
    /// fitted on; the L2 is chosen on the rest.
    ///
    /// # Errors
    /// Lengths that do not fit together, a class out of range, or more parameters than [`MAX_PARAMETERS`].
    pub fn new(
        embeddings: Vec<f32>,
        dim: usize,
        labels: Vec<u32>,
        classes: usize,
        train: usize,
    ) -> Result<Self, FitError> {
        Self::of(embeddings, dim, Labels::One(labels), classes, train)
    }

    /// The same for rows that have one class each, or a set of labels each; sets are fitted by a sigmoid head alone.
    ///
    /// # Errors
    /// The same.
    pub fn of(
        embeddings: Vec<f32>,
        dim: usize,
        labels: Labels,
        classes: usize,
        train: usize,
    ) -> Result<Self, FitError> {
        let rows = labels.len();
        if dim == 0 || rows.checked_mul(dim) != Some(embeddings.len()) {
            return Err(FitError::Shape { numbers: embeddings.len(), labels: rows, dim });
        }
        if (dim + 1).checked_mul(classes).is_none_or(|parameters| parameters > MAX_PARAMETERS) {
            return Err(FitError::TooLarge { dim, classes });
        }
        let truth = labels.truth();
        let unknown = |row: usize| Some((row, *truth.of(row).iter().find(|class| **class as usize >= classes)?));
        if let Some((row, class)) = (0..rows).find_map(unknown) {
            return Err(FitError::UnknownClass { row, class, classes });
        }
        if train == 0 || train > rows {
            return Err(FitError::TrainRows { train, rows });
        }
        let (labels, sets) = match labels {
            Labels::One(labels) => (labels, None),
            Labels::Sets(sets) => (sets.strata(classes), Some(sets)),
        };
        let (weights, views) = (None, Views::default());
        Ok(Self { embeddings, labels, sets, weights, views, train, shape: HeadShape { dim, classes } })
    }

    /// Lets each row count by its weight, 0 or more; one of 2 counts as if the row were there twice.
    ///
    /// # Errors
    /// Another count than that of the rows, a weight that is negative or not finite, or none that is more than 0 among the train
    /// rows.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self, FitError> {
        if weights.len() != self.labels.len() {
            return Err(FitError::WeightCount { weights: weights.len(), rows: self.labels.len() });
        }
        let usable = |weight: f32| (0.0..=MAX_WEIGHT).contains(&weight);
        if let Some((row, &value)) = weights.iter().enumerate().find(|(_, weight)| !usable(**weight)) {
            return Err(FitError::WeightOutOfRange { row, value });
        }
        if weights[..self.train].iter().all(|weight| *weight == 0.0) {
            return Err(FitError::NoWeight);
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// Lets rows be further views of an example: `own` has the example's own row for each row. An example and its views
    /// count together what it did alone. Of the validation rows, the examples come first, and nothing is measured on the others:
    /// they are fitted on when everything is.
    ///
    /// # Errors
    /// [`FitError::View`].
    pub fn with_views(mut self, own: Vec<u32>) -> Result<Self, FitError> {
        self.views = Views::new(own, &self.labels, self.train)?;
        self.weights = self.views.weigh(self.weights);
        Ok(self)
    }

    /// The class of each row, train rows first; where rows have sets, what they are dealt by.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The shape of the head that it fits.
    pub fn shape(&self) -> HeadShape {
        self.shape
    }

    /// Two classes at least, each with two examples at least; of sets of labels, one label at least that some rows have and
    /// others do not, and options that have a meaning for them.
    pub(super) fn check(&self, options: &FitOptions) -> Result<(), FitError> {
        let Some(sets) = &self.sets else { return self.check_classes() };
        if options.head != HeadKind::Sigmoid {
            return Err(FitError::OneLabelEach { kind: options.head.name() });
        }
        if options.class_weights != ClassWeights::Equal {
            return Err(FitError::ClassWeightsOfSets);
        }
        let counts = Truth::Sets(sets.rows()).counts(self.shape.classes);
        if counts.iter().all(|count| *count == 0 || *count == self.labels.len()) {
            return Err(FitError::NothingToTellApart);
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), FitError> {
        if self.shape.classes < 2 {
            return Err(FitError::TooFewClasses { classes: self.shape.classes });
        }
        let examples: Vec<u32> = self.views.own(0..self.labels.len()).map(|row| self.labels[row]).collect();
        let counts = count_classes(&examples, self.shape.classes);
        match counts.iter().enumerate().find(|(_, examples)| **examples < 2) {
            Some((class, &examples)) => Err(FitError::TooFewExamples { class, examples }),
            None => Ok(()),
        }
    }

    /// Scales every row by the mean and deviation of the train rows, so that nothing of the validation rows is known
    /// while the L2 is chosen. The last fit keeps the scaling, so that the L2 keeps its meaning.
    pub(super) fn standardise(mut self, options: &FitOptions) -> Result<(Problem, Scaling), FitError> {
        let (dim, labels, sets) = (self.shape.dim, self.labels, self.sets);
        let scaling = Scaling::measure(&self.embeddings, dim, self.train)?;
        scaling.apply(&mut self.embeddings);
        let features = Tensor::from_vec(self.embeddings, (labels.len(), dim), &Device::Cpu)?;
        let weights = options.class_weights.weigh(&labels, self.weights, self.shape.classes)?;
        let (loss, views) = (options.loss(), self.views);
        Ok((Problem { features, labels, sets, weights, views, loss, train: self.train, shape: self.shape }, scaling))
    }

    /// The same on a copy, all rows being fitted on.
    pub(super) fn standardised_copy(&self, options: &FitOptions) -> Result<Problem, FitError> {
        let (embeddings, labels, sets) = (self.embeddings.clone(), self.labels.clone(), self.sets.clone());
        let (weights, views) = (self.weights.clone(), self.views.clone());
        let copy = Self { embeddings, train: labels.len(), labels, sets, weights, views, shape: self.shape };
        Ok(copy.standardise(options)?.0)
    }
}

/// Rows of each class.
pub(super) fn count_classes(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &class in labels {
        counts[class as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let new = |numbers: usize, dim, labels: &[u32], classes, train| {
            TrainingData::new(vec![0.0; numbers], dim, labels.to_vec(), classes, train)
        };
        assert!(matches!(new(5, 3, &[0, 1], 2, 2), Err(FitError::Shape { numbers: 5, labels: 2, dim: 3 })));
        assert!(matches!(new(0, 0, &[], 2, 0), Err(FitError::Shape { .. })));
        assert!(matches!(new(6, 3, &[0, 2], 2, 2), Err(FitError::UnknownClass { row: 1, class: 2, classes: 2 })));
        assert!(matches!(new(6, 3, &[0, 1], 2, 3), Err(FitError::TrainRows { train: 3, rows: 2 })));
        assert!(matches!(new(6, 3, &[0, 1], 2, 0), Err(FitError::TrainRows { .. })));
        assert!(matches!(new(6, 3, &[0, 1], 2_000_000, 2), Err(FitError::TooLarge { .. })));
        assert!(matches!(new(6, 3, &[0, 1], usize::MAX, 2), Err(FitError::TooLarge { .. })));
    }

    #[test]
    fn a_class_needs_two_examples() {
        let data = |labels: &[u32], classes| {
            TrainingData::new(vec![0.0; labels.len()], 1, labels.to_vec(), classes, labels.len()).unwrap()
        };
        assert!(matches!(data(&[0, 0], 1).check_classes(), Err(FitError::TooFewClasses { classes: 1 })));
        let refused = data(&[0, 0, 1, 2, 2], 3).check_classes();
        assert!(matches!(refused, Err(FitError::TooFewExamples { class: 1, examples: 1 })));
        assert!(data(&[0, 0, 1, 1], 2).check_classes().is_ok());
    }
}
