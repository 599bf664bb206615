//! Heads that are not fitted by L-BFGS, and the kind that is chosen by comparison: the setting is chosen on rows that were not
//! fitted on, and the head fitted once more on everything.

use std::ops::ControlFlow;

use super::auto::{ChosenKind, choose_kind};
use super::calibrate::Calibrated;
use super::data::Problem;
use super::family::Family;
use super::held_out::{self, partings};
use super::kind::HeadKind;
use super::path::L2Trial;
use super::standardise::Scaling;
use super::{FitError, FitOptions, FittedHead, Phase, Progress, convex};

/// The part of the whole that is done when the setting is chosen.
const CHOSEN: f64 = 0.8;

/// What is known when the setting is.
struct Decided {
    kind: HeadKind,
    setting: f64,
    temperature: f64,
    selection_logits: Option<Vec<f32>>,
    best: Option<Calibrated>,
}

/// Fits a head of `kind`, which is none of those that [`convex`] fits, with the setting that does best on the validation rows, or
/// in cross-validation where there are none.
///
/// # Errors
/// Those of the kind.
pub fn fit(
    kind: HeadKind,
    problem: &Problem,
    scaling: &Scaling,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FittedHead, FitError> {
    let partings = partings(problem, None, options.seed);
    let mut report =
        |part: f64, best: Option<Calibrated>| progress(describe(Phase::Select, CHOSEN * part, best)).is_continue();
    let found = held_out::choose(kind, problem, &partings, options, &mut report)?;
    let selection_logits = (problem.train_count() < problem.labels().len()).then_some(found.logits);
    let decided = Decided {
        kind,
        setting: found.setting,
        temperature: found.calibrated.temperature,
        selection_logits,
        best: Some(found.calibrated),
    };
    let mut fitted = finish(decided, problem, scaling, options, progress)?;
    if kind == HeadKind::Ridge {
        let trial =
            |(l2, found): &(f64, Calibrated)| L2Trial { l2: *l2, log_loss: found.log_loss, accuracy: found.accuracy };
        fitted.trials = found.trials.iter().map(trial).collect();
        fitted.l2 = found.setting;
    }
    Ok(fitted)
}

/// Fits a head of the kind that does best in cross-validation.
///
/// # Errors
/// Those of the fits.
pub fn fit_best(
    problem: &Problem,
    scaling: &Scaling,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FittedHead, FitError> {
    let mut compared = |now: Progress| progress(Progress { fraction: CHOSEN * now.fraction, ..now });
    let ChosenKind { kind, setting, temperature, logits, comparison } = choose_kind(problem, options, &mut compared)?;
    let (train, classes) = (problem.views().own(0..problem.train_count()).count(), problem.shape().classes);
    let held_out = logits[train * classes..].to_vec();
    let selection_logits = (!held_out.is_empty()).then_some(held_out);
    let mut fitted = if kind == HeadKind::Softmax {
        let options = FitOptions { l2: vec![setting], ..options.clone() };
        let mut refit = |now: Progress| {
            progress(Progress { phase: Phase::Refit, fraction: CHOSEN + (1.0 - CHOSEN) * now.fraction, ..now })
        };
        let everything = problem.without_validation();
        let mut fitted = convex::fit(kind, &everything, scaling, &options, &mut refit)?;
        fitted.head.scale(temperature);
        fitted.selection_logits = selection_logits;
        fitted
    } else {
        let decided = Decided { kind, setting, temperature, selection_logits, best: None };
        finish(decided, problem, scaling, options, progress)?
    };
    fitted.comparison = comparison;
    Ok(fitted)
}

/// Fits the head on everything.
fn finish(
    decided: Decided,
    problem: &Problem,
    scaling: &Scaling,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FittedHead, FitError> {
    let Decided { kind, setting, temperature, selection_logits, best } = decided;
    let mut go_on = || progress(describe(Phase::Refit, CHOSEN, best)).is_continue();
    let mut head = Family::measure(kind, problem.everything(), options)?.head(setting, &mut go_on)?;
    head.scale(temperature);
    let head = scaling.fold_head(head);
    if progress(describe(Phase::Refit, 1.0, best)).is_break() {
        return Err(FitError::Cancelled);
    }
    Ok(FittedHead {
        head,
        kind,
        setting,
        comparison: Vec::new(),
        l2: 0.0,
        trials: Vec::new(),
        iterations: 0,
        total_iterations: 0,
        converged: true,
        loss: best.map_or(0.0, |best| best.log_loss),
        selection_logits,
    })
}

fn describe(phase: Phase, fraction: f64, best: Option<Calibrated>) -> Progress {
    let (validation_loss, validation_accuracy) = (best.map(|best| best.log_loss), best.map(|best| best.accuracy));
    Progress {
        phase,
        fraction,
        iterations: 0,
        loss: validation_loss.unwrap_or(0.0),
        validation_loss,
        validation_accuracy,
    }
}
