//! Each row's logits from a head that was fitted without it.
//!
//! The rows are dealt into folds, and for each fold a head is fitted on the others: on all rows, those of the fold having no
//! weight, so that nothing is copied for it. Each fold goes down the same path of L2, every fit starting where the one before it
//! on the path ended, and the L2 with the least log loss over all rows is the one whose logits are given.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::auto::choose_kind;
use super::calibrate::Calibrated;
use super::data::{Problem, Rows};
use super::held_out::{self, partings};
use super::kind::HeadKind;
use super::objective::{logits, measure};
use super::path::{Fitter, L2Trial, Reporter, choosing, rises};
use super::{FitError, FitOptions, Phase, Progress, TrainingData};

/// The most folds.
pub const MAX_FOLDS: usize = 20;

/// What came of a cross-validation.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidated {
    /// `[examples, classes]`, in the order of their rows: each example's logits from the head that never saw it.
    pub logits: Vec<f32>,
    /// The L2 whose logits these are.
    pub l2: f64,
    /// Every L2 that was tried, strongest first, measured over all rows.
    pub trials: Vec<L2Trial>,
}

/// The logits of every example of `data`, train rows and validation rows alike, each from a head that was fitted without it and
/// its views: `[examples, classes]`, in the order of their rows. `folds` heads are fitted for each L2 of the options, and the L2 is chosen by the
/// log loss over all rows. The same seed deals the rows in the same way.
///
/// A copy of the embeddings is held meanwhile.
///
/// # Errors
/// As those of [`fit_head`](super::fit_head), and [`FitError::FoldsOutOfRange`].
pub fn cross_validate(
    data: &TrainingData,
    options: &FitOptions,
    folds: usize,
    seed: u64,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<f32>, FitError> {
    options.check()?;
    data.check(options)?;
    let problem = data.standardised_copy(options)?;
    check_folds(&problem, folds)?;
    match options.head {
        HeadKind::Softmax | HeadKind::Sigmoid => {
            Ok(cross_validate_problem(&problem, options, folds, seed, progress)?.logits)
        }
        HeadKind::Auto => {
            let options = FitOptions { seed, ..options.clone() };
            Ok(choose_kind(&problem, &options, progress)?.logits)
        }
        kind => {
            let partings = partings(&problem, Some(folds), seed);
            let mut report = |part: f64, best: Option<Calibrated>| {
                let (loss, accuracy) = (best.map(|best| best.log_loss), best.map(|best| best.accuracy));
                let now = Progress {
                    phase: Phase::CrossValidate,
                    fraction: part,
                    iterations: 0,
                    loss: loss.unwrap_or(0.0),
                    validation_loss: loss,
                    validation_accuracy: accuracy,
                };
                progress(now).is_continue()
            };
            Ok(held_out::choose(kind, &problem, &partings, options, &mut report)?.logits)
        }
    }
}

/// Two folds at least, and no more than there are rows.
fn check_folds(problem: &Problem, folds: usize) -> Result<(), FitError> {
    let rows = problem.examples();
    if (2..=MAX_FOLDS.min(rows)).contains(&folds) { Ok(()) } else { Err(FitError::FoldsOutOfRange { folds, rows }) }
}

/// The same for a softmax or sigmoid head, with the L2 that was chosen and all that were tried.
///
/// # Errors
/// The same.
pub fn cross_validate_problem(
    problem: &Problem,
    options: &FitOptions,
    folds: usize,
    seed: u64,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<CrossValidated, FitError> {
    let l2_path = options.checked_path()?;
    check_folds(problem, folds)?;
    let fold_of = problem.deal(folds, seed);
    let rows = problem.everything();
    let folds: Vec<Fold> = (0..folds).map(|fold| Fold::new(problem, &rows, &fold_of, fold)).collect();
    let mut found = Validation { rows, folds, fold_of, options }.run(&l2_path, progress)?;
    found.logits = problem.views().only_own(found.logits, problem.shape().classes);
    Ok(found)
}

/// The rows that are left out together.
struct Fold {
    /// The weights of the rows that are fitted on; 0 for those of the fold.
    rest: Arc<[f32]>,
    /// The weights of the rows of the fold; 0 for the others.
    held_out: Arc<[f32]>,
    /// Where its last fit ended.
    parameters: Vec<f64>,
}

impl Fold {
    fn new(problem: &Problem, rows: &Rows<'_>, fold_of: &[usize], fold: usize) -> Self {
        let only = |inside: bool| {
            let weight = |row: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
            // What is held out is measured on, and views never are.
            let counts = |row: usize| !inside || problem.views().is_own(row);
            let weigh =
                |(row, of): (usize, &usize)| if (*of == fold) == inside && counts(row) { weight(row) } else { 0.0 };
            fold_of.iter().enumerate().map(weigh).collect()
        };
        Fold { rest: only(false), held_out: only(true), parameters: problem.start() }
    }
}

/// A cross-validation under way.
struct Validation<'a> {
    rows: Rows<'a>,
    folds: Vec<Fold>,
    fold_of: Vec<usize>,
    options: &'a FitOptions,
}

impl Validation<'_> {
    fn run(
        mut self,
        l2_path: &[f64],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<CrossValidated, FitError> {
        let mut fitter = Fitter::new(self.rows.clone(), self.options, choosing(self.options))?;
        let mut found = CrossValidated { logits: Vec::new(), l2: l2_path[0], trials: Vec::new() };
        let (mut best, mut iterations) = (None, 0);
        let fits = l2_path.len() * self.folds.len();
        for (at, &l2) in l2_path.iter().enumerate() {
            let mut all = vec![0.0; self.fold_of.len() * self.rows.shape.classes];
            let mut trial = L2Trial { l2, log_loss: 0.0, accuracy: 0.0 };
            let mut measured = 0.0;
            for fold in 0..self.folds.len() {
                let done = at * self.folds.len() + fold;
                let phase = Phase::CrossValidate;
                let mut reporter = Reporter { progress, phase, done, fits, iterations, best, within: 0.0 };
                iterations += self.fit(fold, l2, &mut fitter, &mut reporter)?;
                measured += self.measure(fold, &mut trial, &mut all)?;
            }
            trial.log_loss /= measured;
            trial.accuracy /= measured;
            if best.is_none_or(|best: L2Trial| trial.log_loss < best.log_loss) {
                best = Some(trial);
                found.l2 = l2;
                found.logits = all;
            }
            found.trials.push(trial);
            if rises(&found.trials) {
                break;
            }
        }
        Ok(found)
    }

    /// Fits on all rows but those of the fold; the iterations that it took.
    fn fit(
        &mut self,
        fold: usize,
        l2: f64,
        fitter: &mut Fitter<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<u32, FitError> {
        let fold = &mut self.folds[fold];
        fitter.set_weights(fold.rest.clone())?;
        let fit = fitter.fit(l2, std::mem::take(&mut fold.parameters), reporter)?;
        fold.parameters = fit.parameters;
        Ok(fit.iterations)
    }

    /// Adds what the fold's head did on its own rows to `trial`, and writes its logits on them into `all`; the weight of the rows.
    fn measure(&self, fold: usize, trial: &mut L2Trial, all: &mut [f32]) -> Result<f64, FitError> {
        let Fold { held_out, parameters, .. } = &self.folds[fold];
        let rows = Rows { weights: Some(held_out.clone()), ..self.rows.clone() };
        let weight = rows.weight();
        if weight > 0.0 {
            let (log_loss, accuracy) = measure(&rows, parameters)?;
            trial.log_loss += weight * log_loss;
            trial.accuracy += weight * accuracy;
        }
        let classes = rows.shape.classes;
        let logits = logits(&rows, parameters)?;
        let both = all.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(&self.fold_of);
        both.filter(|(_, of)| **of == fold).for_each(|((into, from), _)| into.copy_from_slice(from));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::Case;
    use super::*;

    fn on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn data(case: &Case) -> TrainingData {
        let rows = case.labels.len();
        TrainingData::new(case.features.clone(), case.shape.dim, case.labels.clone(), case.shape.classes, rows).unwrap()
    }

    fn correct(logits: &[f32], labels: &[u32], classes: usize) -> usize {
        let most = |row: &[f32]| (0..classes).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as u32;
        logits.chunks(classes).zip(labels).filter(|(row, label)| most(row) == **label).count()
    }

    #[test]
    fn a_row_is_judged_by_heads_that_never_saw_it() {
        // More features than rows and labels of pure chance: seen, they are all learned; unseen, half are guessed.
        let mut case = Case::random(80, 120, 2, 5);
        let mut random = super::super::random::Random::new(3);
        case.features.iter_mut().for_each(|x| *x = random.unit() as f32);
        let options = FitOptions { l2: vec![1e-3], ..FitOptions::default() };
        let logits = cross_validate(&data(&case), &options, 5, 1, &mut on).unwrap();
        let unseen = correct(&logits, &case.labels, 2);
        assert!((25..=55).contains(&unseen), "{unseen} of 80");
        let fitted = super::super::fit_head(data(&case), &options, &mut on).unwrap();
        let seen = fitted.head.logits(case.features.clone(), 80).unwrap();
        assert_eq!(correct(&seen, &case.labels, 2), 80);
    }

    #[test]
    fn the_same_seed_gives_the_same_logits_and_the_least_loss_is_chosen() {
        let case = Case::random(200, 30, 3, 8);
        let problem = data(&case).standardised_copy(&FitOptions::default()).unwrap();
        let run = |seed| cross_validate_problem(&problem, &FitOptions::default(), 4, seed, &mut on).unwrap();
        let found = run(1);
        assert_eq!(found, run(1));
        assert_ne!(found.logits, run(2).logits);
        assert!(found.trials.iter().all(|trial| trial.log_loss >= 0.0));
        let best = found.trials.iter().min_by(|a, b| a.log_loss.total_cmp(&b.log_loss)).unwrap();
        assert_eq!(found.l2, best.l2);
        let right = correct(&found.logits, &case.labels, 3);
        assert!((best.accuracy - right as f64 / 200.0).abs() < 1e-9);
    }

    #[test]
    fn every_kind_gives_logits_in_the_order_of_the_rows() {
        let mut case = Case::random(240, 12, 3, 8);
        case.features.chunks_mut(12).enumerate().for_each(|(row, x)| x[row % 3] += 4.0);
        for head in [
            HeadKind::Sigmoid,
            HeadKind::Ridge,
            HeadKind::Lda,
            HeadKind::Prototype,
            HeadKind::Neighbours,
            HeadKind::Auto,
        ] {
            let options = FitOptions { head, ..FitOptions::default() };
            let logits = cross_validate(&data(&case), &options, 4, 3, &mut on).unwrap();
            let right = correct(&logits, &case.labels, 3);
            assert!(logits.len() == 720 && right > 200, "{head:?}: {right} of 240");
        }
    }

    #[test]
    fn folds_out_of_range_are_refused() {
        let case = Case::random(12, 3, 3, 8);
        for folds in [0, 1, 13, 21] {
            let refused = cross_validate(&data(&case), &FitOptions::default(), folds, 0, &mut on);
            assert!(matches!(refused, Err(FitError::FoldsOutOfRange { rows: 12, .. })), "{folds}");
        }
    }
}
