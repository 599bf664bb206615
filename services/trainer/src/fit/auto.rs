//! The kind of head by cross-validation: every kind that suits the size of the data is fitted with each fold left out, and the one
//! with the least log loss over all rows, each at its best setting and temperature, is fitted once more on everything.

use std::ops::ControlFlow;

use super::calibrate::{Calibrated, calibrate};
use super::cross_validate::cross_validate_problem;
use super::data::Problem;
use super::held_out::{self, USUAL_FOLDS, partings};
use super::kind::HeadKind;
use super::{FitError, FitOptions, Phase, Progress};

/// How a kind did on rows that it was not fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KindTrial {
    /// The kind.
    pub kind: HeadKind,
    /// Its best setting: an L2, a shrinkage, a number of neighbours or of epochs; 0 where there is nothing to set.
    pub setting: f64,
    /// Mean log loss at its best temperature, in nats.
    pub log_loss: f64,
    /// Accuracy, 0 to 1.
    pub accuracy: f64,
}

/// The kind that won.
#[derive(Clone, Debug)]
pub struct ChosenKind {
    /// The kind.
    pub kind: HeadKind,
    /// Its best setting.
    pub setting: f64,
    /// What to divide its logits by.
    pub temperature: f64,
    /// Its logits on every example, from heads that were fitted without it, `[examples, classes]`, at that temperature.
    pub logits: Vec<f32>,
    /// All that were compared, the best first.
    pub comparison: Vec<KindTrial>,
}

/// Compares the kinds that suit the data.
///
/// # Errors
/// [`FitError::Cancelled`], and those of the fits; a kind that cannot be fitted on these data is left out.
pub fn choose_kind(
    problem: &Problem,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ChosenKind, FitError> {
    let rows = problem.labels().len();
    let kinds = HeadKind::suitable(problem.shape(), rows);
    let mut best: Option<ChosenKind> = None;
    let (mut comparison, mut measured): (Vec<KindTrial>, Option<Calibrated>) = (Vec::new(), None);
    for (at, kind) in kinds.iter().enumerate() {
        let share = |part: f64| (at as f64 + part) / kinds.len() as f64;
        let mut tell = |part: f64, now: Option<Progress>| {
            progress(Progress {
                phase: Phase::CrossValidate,
                fraction: share(part),
                iterations: now.map_or(0, |now| now.iterations),
                loss: now.map_or(0.0, |now| now.loss),
                validation_loss: measured.map(|best| best.log_loss),
                validation_accuracy: measured.map(|best| best.accuracy),
            })
        };
        let tried = match kind {
            HeadKind::Softmax => try_softmax(problem, options, &mut |now| tell(now.fraction, Some(now))),
            kind => try_other(*kind, problem, options, &mut |part| tell(part, None).is_continue()),
        };
        let (found, calibrated) = match tried {
            Ok(tried) => tried,
            Err(FitError::Singular | FitError::TooManyToSolve { .. } | FitError::TooManyExamples { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Calibrated { log_loss, accuracy, .. } = calibrated;
        comparison.push(KindTrial { kind: *kind, setting: found.setting, log_loss, accuracy });
        if measured.is_none_or(|best| log_loss < best.log_loss) {
            (best, measured) = (Some(found), Some(calibrated));
        }
    }
    comparison.sort_by(|a, b| a.log_loss.total_cmp(&b.log_loss));
    best.map(|best| ChosenKind { comparison, ..best }).ok_or(FitError::NoSetting)
}

fn try_softmax(
    problem: &Problem,
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(ChosenKind, Calibrated), FitError> {
    let folds = USUAL_FOLDS.min(problem.examples());
    let found = cross_validate_problem(problem, options, folds, options.seed, progress)?;
    let own: Vec<usize> = problem.views().own(0..problem.labels().len()).collect();
    let labels: Vec<u32> = own.iter().map(|row| problem.labels()[*row]).collect();
    let weights: Option<Vec<f32>> =
        problem.everything().weights.map(|weights| own.iter().map(|row| weights[*row]).collect());
    let calibrated = calibrate(&found.logits, &labels, weights.as_deref(), problem.shape().classes);
    let cool = |logit: f32| (f64::from(logit) / calibrated.temperature) as f32;
    let logits = found.logits.into_iter().map(cool).collect();
    let (kind, temperature) = (HeadKind::Softmax, calibrated.temperature);
    Ok((ChosenKind { kind, setting: found.l2, temperature, logits, comparison: Vec::new() }, calibrated))
}

fn try_other(
    kind: HeadKind,
    problem: &Problem,
    options: &FitOptions,
    go_on: &mut dyn FnMut(f64) -> bool,
) -> Result<(ChosenKind, Calibrated), FitError> {
    let folds = Some(USUAL_FOLDS.min(problem.examples()));
    let partings = partings(problem, folds, options.seed);
    let found = held_out::choose(kind, problem, &partings, options, &mut |part, _| go_on(part))?;
    let held_out::Chosen { setting, calibrated, logits, .. } = found;
    let temperature = calibrated.temperature;
    Ok((ChosenKind { kind, setting, temperature, logits, comparison: Vec::new() }, calibrated))
}
