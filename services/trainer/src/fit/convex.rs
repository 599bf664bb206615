//! Softmax and sigmoid heads: L-BFGS to the optimum for each L2, the one with the least validation loss fitted once more on
//! everything.

use std::ops::ControlFlow;

use super::data::Problem;
use super::head::{Head, LinearHead};
use super::kind::HeadKind;
use super::lbfgs::Stop;
use super::path::{self, Fitter};
use super::standardise::Scaling;
use super::{FitError, FitOptions, FittedHead, Progress, thresholds};

/// The L2 where none was given and there are no validation rows to choose one with: what suited the embeddings of 2,000
/// images of clothes best.
pub const UNCHOSEN_L2: f64 = 0.1;

/// Fits a head of `kind`, softmax or sigmoid, as the loss of `problem` says.
///
/// # Errors
/// [`FitError::NoValidation`] where there are several L2 values and nothing to choose with, and those of the fits.
pub fn fit(
    kind: HeadKind,
    problem: &Problem,
    scaling: &Scaling,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FittedHead, FitError> {
    let mut l2_path = options.checked_path()?;
    if problem.train_count() == problem.labels().len() && options.l2.is_empty() {
        l2_path = vec![UNCHOSEN_L2];
    }
    let mut chosen = path::choose(problem, &l2_path, options, progress)?;
    let selection_logits = chosen.logits(problem)?;
    let start = chosen.parameters.take().unwrap_or_else(|| problem.start());
    let directions = chosen.directions.take();
    let mut reporter = chosen.reporter(chosen.trials.len(), progress);
    let rows = problem.everything();
    let mut fitter = match directions {
        Some(directions) => Fitter::with_directions(rows, Some(directions), options, options.tolerance)?,
        None => Fitter::new(rows, options, options.tolerance)?,
    };
    let fit = fitter.fit(chosen.l2, start, &mut reporter)?;

    let shape = problem.shape();
    let (weights, bias) = scaling.fold(&fit.parameters, shape);
    let linear = LinearHead { weights, bias, dimension: shape.dim, classes: shape.classes };
    let head = match kind {
        HeadKind::Sigmoid => {
            let held_out = problem.truth().slice(problem.validation_rows());
            let thresholds = match &selection_logits {
                Some(logits) => thresholds::choose(logits, held_out, shape.classes),
                None => vec![thresholds::USUAL; shape.classes],
            };
            Head::Sigmoid { linear, thresholds }
        }
        _ => Head::Linear(linear),
    };
    Ok(FittedHead {
        head,
        kind,
        setting: chosen.l2,
        comparison: Vec::new(),
        l2: chosen.l2,
        trials: chosen.trials,
        iterations: fit.iterations,
        total_iterations: chosen.iterations + fit.iterations,
        converged: fit.stop == Stop::Converged,
        loss: fit.value,
        selection_logits,
    })
}
