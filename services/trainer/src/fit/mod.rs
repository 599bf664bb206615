//! Fits a linear softmax head on embeddings: full batch, to the optimum, the same bytes each time.
//!
//! The straight line: [`TrainingData`] is standardised in place, [`path`](mod@path) fits it for each L2 from strong to weak
//! and keeps the one with the least log loss on the validation rows, a last fit takes the train and validation rows
//! together, and the scaling is folded into the weights, so that serving needs no more than `x·W + b`.
//!
//! # Layout
//! - [`options`]: what a person may choose, and its limits.
//! - [`data`]: embeddings and classes, train rows first, checked once.
//! - [`split`]: which examples to fit on, to choose with and to measure on.
//! - [`standardise`]: mean and scale of each feature, applied in place and folded back.
//! - [`softmax`]: the objective and its gradient; [`softmax_rows`]: what happens to a block of logits.
//! - [`fused`], [`kernel`]: both products of an evaluation in one pass over the features.
//! - [`lbfgs`], [`line_search`]: the minimiser; knows nothing of softmax.
//! - [`curvature`], [`inverse`]: the bound on the Hessian that the minimiser starts from when there are many rows.
//! - [`path`](mod@path): the choice of L2.
//! - [`cross_validate`](mod@cross_validate), [`folds`]: each row's logits from a head that never saw it.
//! - [`class_weights`]: how much the examples of each class count.
//! - [`head`]: the head that is served, and its bytes.
//! - [`random`]: chance that is the same for the same seed.
//! - [`progress`]: what the caller hears while it waits.
//! - [`error`]: every way in which a fit can fail.
//!
//! It does no input or output, and does not know what a label is called.

pub mod class_weights;
pub mod cross_validate;
pub mod curvature;
pub mod data;
pub mod error;
pub mod folds;
pub mod fused;
pub mod head;
pub mod inverse;
pub mod kernel;
pub mod lbfgs;
pub mod line_search;
pub mod options;
pub mod path;
pub mod progress;
pub mod random;
pub mod softmax;
pub mod softmax_rows;
pub mod split;
pub mod standardise;

#[cfg(test)]
mod naive;

pub use class_weights::ClassWeights;
pub use cross_validate::cross_validate;
pub use data::TrainingData;
pub use error::FitError;
pub use head::{HeadError, LinearHead};
pub use options::FitOptions;
pub use path::L2Trial;
pub use progress::{Phase, Progress};

use std::ops::ControlFlow;

use lbfgs::Stop;
use path::Fitter;
use standardise::Scaling;

/// The L2 where none was given and there are no validation rows to choose one with: what suited the embeddings of 2,000
/// images of clothes best.
const UNCHOSEN_L2: f64 = 0.1;

/// A head and how it was come by.
#[derive(Debug)]
pub struct FittedHead {
    /// The head, on embeddings as the extractor gives them.
    pub head: LinearHead,
    /// The L2 penalty that was chosen.
    pub l2: f64,
    /// Every L2 that was tried, strongest first, measured on the validation rows; empty where there were none.
    pub trials: Vec<L2Trial>,
    /// L-BFGS iterations of the last fit.
    pub iterations: u32,
    /// L-BFGS iterations of all fits together.
    pub total_iterations: u32,
    /// Whether the last fit reached its gradient tolerance.
    pub converged: bool,
    /// The training loss of the last fit: mean log loss plus penalty, in nats.
    pub loss: f64,
    /// `[validation rows, classes]`: the logits on the validation rows of the fit that won, which never saw them; `None` where
    /// there were none. What is tuned after the fit, a temperature or a threshold, is tuned on these.
    pub selection_logits: Option<Vec<f32>>,
}

/// Fits a head on `data`, choosing the L2 on its validation rows.
///
/// `progress` is called after every iteration; `Break` from it stops the fit with [`FitError::Cancelled`].
/// It is long work for one thread and several cores: call it from a blocking task.
///
/// # Errors
/// [`FitError`] names what was wrong with the options or the data.
pub fn fit_head(
    data: TrainingData,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FittedHead, FitError> {
    let mut l2_path = options.checked_path()?;
    data.check_classes()?;
    if data.has_no_validation() && options.l2.is_empty() {
        l2_path = vec![UNCHOSEN_L2];
    }
    let shape = data.shape();
    let (problem, scaling) = data.standardise(&options.class_weights)?;
    let mut chosen = path::choose(&problem, &l2_path, options, progress)?;

    let selection_logits = chosen.logits(&problem)?;
    let start = chosen.parameters.take().unwrap_or_else(|| problem.start());
    let gram = chosen.gram.take();
    let mut reporter = chosen.reporter(chosen.trials.len(), progress);
    let rows = problem.everything();
    let mut fitter = match gram {
        Some(gram) => Fitter::with_gram(rows, Some(gram), options)?,
        None => Fitter::new(rows, options)?,
    };
    let fit = fitter.fit(chosen.l2, start, &mut reporter)?;

    Ok(FittedHead {
        head: served_head(&scaling, &fit.parameters, shape)?,
        l2: chosen.l2,
        trials: chosen.trials,
        iterations: fit.iterations,
        total_iterations: chosen.iterations + fit.iterations,
        converged: fit.stop == Stop::Converged,
        loss: fit.value,
        selection_logits,
    })
}

/// The head as it is served, on embeddings that are not standardised.
fn served_head(scaling: &Scaling, parameters: &[f64], shape: HeadShape) -> Result<LinearHead, FitError> {
    let (weights, bias) = scaling.fold(parameters, shape);
    if !weights.iter().chain(&bias).all(|number| number.is_finite()) {
        return Err(FitError::Overflow);
    }
    Ok(LinearHead { weights, bias, dimension: shape.dim, classes: shape.classes })
}

/// The shape of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Numbers in an embedding.
    pub dim: usize,
    /// Classes, and so logits.
    pub classes: usize,
}

impl HeadShape {
    /// Numbers in the weights, `[dim, classes]` row-major.
    pub fn weights(self) -> usize {
        self.dim * self.classes
    }

    /// Numbers in the parameters: the weights, then one bias for each class.
    pub fn parameters(self) -> usize {
        (self.dim + 1) * self.classes
    }
}

#[cfg(test)]
mod tests;
