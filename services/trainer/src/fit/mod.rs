//! Fits a classifier head on embeddings: full batch and to the optimum where the objective is convex, the same bytes each time.
//!
//! The straight line: [`TrainingData`] is standardised in place, what the kind of head has to choose (an L2, a shrinkage) is
//! chosen on the validation rows, a last fit takes the train and validation rows together, and the scaling is folded into the
//! head, so that serving needs no more than, for most kinds, `x·W + b`.
//!
//! # Layout
//! What goes in:
//! - [`options`]: what a person may choose, and its limits. [`kind`]: the kinds of heads, and what each has to choose.
//! - [`labels`]: one class a row, or a set of labels. [`data`]: embeddings and labels, train rows first, checked once;
//!   [`problem`]: the same, ready to be fitted on. [`class_weights`]: how much the examples of each class count.
//! - [`views`]: rows that are further views of an example.
//! - [`split`]: which examples to fit on, to choose with and to measure on.
//! - [`standardise`]: mean and scale of each feature, applied in place and folded back.
//!
//! Softmax and sigmoid heads:
//! - [`convex`]: their fit. [`path`](mod@path): the choice of L2. [`thresholds`]: from which probability on a label is given.
//! - [`objective`]: value and gradient; [`loss`], [`softmax_rows`], [`sigmoid_rows`]: what happens to a block of logits;
//!   [`fused`], [`kernel`]: both products of an evaluation in one pass over the features.
//! - [`lbfgs`], [`line_search`]: the minimiser; knows nothing of losses.
//! - [`curvature`], [`inverse`]: the bound on the Hessian that the minimiser starts from when there are many rows.
//!
//! The other kinds:
//! - [`others`]: their fit. [`held_out`], [`family`]: the choice of their setting. [`calibrate`], [`temperature`]: how certain
//!   their logits are.
//! - [`ridge`], [`lda`], [`normal`], [`weighted`]: in closed form. [`nearest`]: by the angle. [`perceptron`], [`adamw`]: a hidden
//!   layer.
//!
//! All of them:
//! - [`auto`]: the choice of the kind. [`cross_validate`](mod@cross_validate), [`folds`]: each row's logits from a head that never
//!   saw it. [`random`]: chance that is the same for the same seed.
//! - [`head`]: the head that is served, and its bytes.
//! - [`progress`]: what the caller hears while it waits. [`error`]: every way in which a fit can fail.
//!
//! It does no input or output, and does not know what a label is called.

pub mod adamw;
pub mod auto;
pub mod calibrate;
pub mod class_weights;
pub mod convex;
pub mod cross_validate;
pub mod curvature;
pub mod data;
pub mod error;
pub mod family;
pub mod folds;
pub mod fused;
pub mod head;
pub mod held_out;
pub mod inverse;
pub mod kernel;
pub mod kind;
pub mod labels;
pub mod lbfgs;
pub mod lda;
pub mod line_search;
pub mod loss;
pub mod nearest;
pub mod normal;
pub mod objective;
pub mod options;
pub mod others;
pub mod path;
pub mod perceptron;
pub mod problem;
pub mod progress;
pub mod random;
pub mod ridge;
pub mod sigmoid_rows;
pub mod softmax_rows;
pub mod split;
pub mod standardise;
pub mod temperature;
pub mod thresholds;
pub mod views;
pub mod weighted;

#[cfg(test)]
mod naive;

pub use auto::KindTrial;
pub use class_weights::ClassWeights;
pub use cross_validate::cross_validate;
pub use data::TrainingData;
pub use error::FitError;
pub use head::{Head, HeadError, LinearHead};
pub use kind::HeadKind;
pub use labels::{LabelSets, Labels, Truth};
pub use options::FitOptions;
pub use path::L2Trial;
pub use progress::{Phase, Progress};

use std::ops::ControlFlow;

/// A head and how it was come by.
#[derive(Debug)]
pub struct FittedHead {
    /// The head, on embeddings as the extractor gives them.
    pub head: Head,
    /// Its kind; never [`HeadKind::Auto`].
    pub kind: HeadKind,
    /// What was chosen for the kind: an L2, a shrinkage, a number of neighbours or of epochs; 0 where there is nothing to set.
    pub setting: f64,
    /// The kinds that were compared, the best first; empty where the kind was told.
    pub comparison: Vec<KindTrial>,
    /// The L2 penalty that was chosen; 0 where the kind has none.
    pub l2: f64,
    /// Every L2 that was tried, strongest first, measured on the validation rows; empty where there were none.
    pub trials: Vec<L2Trial>,
    /// L-BFGS iterations of the last fit.
    pub iterations: u32,
    /// L-BFGS iterations of all fits together.
    pub total_iterations: u32,
    /// Whether the last fit reached its gradient tolerance; closed forms always do.
    pub converged: bool,
    /// The training loss of the last fit, mean log loss plus penalty, in nats; for kinds without one, the log loss of the rows
    /// that the setting was chosen on.
    pub loss: f64,
    /// `[validation rows, classes]`: the logits on the validation rows of the fit that won, which never saw them; `None` where
    /// there were none. What is tuned after the fit, a temperature or a threshold, is tuned on these.
    pub selection_logits: Option<Vec<f32>>,
}

/// Fits a head on `data`, choosing on its validation rows what there is to choose.
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
    options.check()?;
    data.check(options)?;
    let (problem, scaling) = data.standardise(options)?;
    let fitted = match options.head {
        HeadKind::Softmax | HeadKind::Sigmoid => convex::fit(options.head, &problem, &scaling, options, progress)?,
        HeadKind::Auto => others::fit_best(&problem, &scaling, options, progress)?,
        kind => others::fit(kind, &problem, &scaling, options, progress)?,
    };
    if fitted.head.is_finite() { Ok(fitted) } else { Err(FitError::Overflow) }
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

#[cfg(test)]
mod kind_tests;

#[cfg(test)]
mod set_tests;
