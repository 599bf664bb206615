//! The choice of L2: fits from strong to weak, each starting where the one before ended, and the least log loss on the
//! validation rows wins.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::curvature::{CurvatureGuess, Directions};
use super::data::{Problem, Rows};
use super::lbfgs::{InverseHessian, Iteration, Limits, Minimum, Objective, minimise};
use super::objective::{MeanLoss, logits, measure};
use super::{FitError, FitOptions, Phase, Progress};

/// The guess of the Hessian is made anew when the L2 has changed by more than this factor; nearer, L-BFGS corrects it in
/// less time than it takes to make.
const GUESS_HOLDS_WITHIN: f64 = 4.0;

/// While the L2 is chosen, a fit may end this many times farther from its optimum than the last one: its validation loss is then
/// the same to three digits, and every fit takes half the passes.
const CHOOSING_LOOSER: f64 = 10.0;
/// The weakest tolerance that comes of it.
const LOOSEST: f64 = 1e-2;
/// Weaker penalties are not tried when the validation loss has risen so many times in a row, and by this part in all: it has one
/// minimum along the path but for noise, and the weakest penalties take the most passes.
const RISES: usize = 3;
const RISEN: f64 = 1.02;

/// What the guess takes as the curvature, over the mean curvature at zero weights, for the first fit, and over that where the last
/// fit ended, for the others. Measured on embeddings of images with L2 from 0.1 to 0.001: a few rows near the boundaries hold most of
/// the mean, and along most directions there is less.
const OF_THE_START: f64 = 1.0 / 30.0;
const OF_THE_END: f64 = 0.25;

/// How one L2 did on the validation rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L2Trial {
    /// The penalty.
    pub l2: f64,
    /// Mean log loss, in nats.
    pub log_loss: f64,
    /// Accuracy, 0 to 1.
    pub accuracy: f64,
}

/// The L2 that won.
pub struct Chosen {
    /// The penalty.
    pub l2: f64,
    /// Where its fit ended; `None` where there was nothing to choose.
    pub parameters: Option<Vec<f64>>,
    /// All that were tried, strongest first.
    pub trials: Vec<L2Trial>,
    /// Iterations over all of them.
    pub iterations: u32,
    /// What was measured of the train rows for the guess of the Hessian; as good for a few rows more.
    pub directions: Option<Directions>,
}

/// The tolerance while the L2 is chosen.
pub fn choosing(options: &FitOptions) -> f64 {
    (options.tolerance * CHOOSING_LOOSER).min(LOOSEST).max(options.tolerance)
}

/// Whether the loss has risen so often and so far that weaker penalties cannot win.
pub fn rises(trials: &[L2Trial]) -> bool {
    let Some(start) = trials.len().checked_sub(RISES + 1) else { return false };
    let best = trials.iter().map(|trial| trial.log_loss).fold(f64::INFINITY, f64::min);
    let last = trials.last().map_or(0.0, |trial| trial.log_loss);
    trials[start..].windows(2).all(|pair| pair[1].log_loss > pair[0].log_loss) && last > RISEN * best
}

/// Fits the train rows with each L2 of `l2_path`, strongest first, and chooses by the validation rows. Of equals the
/// strongest is chosen.
///
/// # Errors
/// [`FitError::NoValidation`] where there are several and no validation rows; and those of the fits.
pub fn choose(
    problem: &Problem,
    l2_path: &[f64],
    options: &FitOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Chosen, FitError> {
    let mut chosen = Chosen { l2: l2_path[0], parameters: None, trials: Vec::new(), iterations: 0, directions: None };
    let Some(validation) = problem.validation()? else {
        return if l2_path.len() == 1 { Ok(chosen) } else { Err(FitError::NoValidation { l2_values: l2_path.len() }) };
    };
    let mut fitter = Fitter::new(problem.train()?, options, choosing(options))?;
    let mut parameters = problem.start();
    for (done, &l2) in l2_path.iter().enumerate() {
        let mut reporter = chosen.reporter(l2_path.len(), progress);
        reporter.phase = Phase::Select;
        reporter.done = done;
        let fit = fitter.fit(l2, parameters, &mut reporter)?;
        let (log_loss, accuracy) = measure(&validation, &fit.parameters)?;
        chosen.iterations += fit.iterations;
        if chosen.best().is_none_or(|best| log_loss < best.log_loss) {
            chosen.l2 = l2;
            chosen.parameters = Some(fit.parameters.clone());
        }
        chosen.trials.push(L2Trial { l2, log_loss, accuracy });
        parameters = fit.parameters;
        if rises(&chosen.trials) {
            break;
        }
    }
    chosen.directions = fitter.directions;
    Ok(chosen)
}

impl Chosen {
    /// The logits of the fit that won on the validation rows, `[rows, classes]`.
    pub fn logits(&self, problem: &Problem) -> Result<Option<Vec<f32>>, FitError> {
        match (problem.validation()?, &self.parameters) {
            (Some(validation), Some(parameters)) => logits(&validation, parameters).map(Some),
            _ => Ok(None),
        }
    }

    /// The trial that is winning.
    fn best(&self) -> Option<&L2Trial> {
        self.trials.iter().find(|trial| trial.l2 == self.l2)
    }

    /// A reporter for the last fit, after those of the trials: `trials` of them where there was something to choose.
    pub fn reporter<'a>(
        &self,
        trials: usize,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Reporter<'a> {
        let (iterations, best) = (self.iterations, self.best().copied());
        Reporter { progress, phase: Phase::Refit, done: trials, fits: trials + 1, iterations, best, within: 0.0 }
    }
}

/// Tells the caller how far the whole is.
pub struct Reporter<'a> {
    pub(super) progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    pub(super) phase: Phase,
    /// Fits that have ended.
    pub(super) done: usize,
    /// Fits that there will be.
    pub(super) fits: usize,
    /// Iterations of the fits that have ended.
    pub(super) iterations: u32,
    pub(super) best: Option<L2Trial>,
    /// The part of this fit that is done; never falls.
    pub(super) within: f64,
}

impl Reporter<'_> {
    /// Reports an iteration. L-BFGS takes about as long for every decimal of the gradient, so the part that is done is
    /// the part of the decimals, from `first` to `target`.
    fn report(&mut self, now: Iteration, first: f64, target: f64) -> ControlFlow<()> {
        let decimals = (first / now.gradient_norm).ln() / (first / target).ln();
        if decimals.is_finite() {
            self.within = self.within.max(decimals.clamp(0.0, 1.0));
        }
        (self.progress)(Progress {
            phase: self.phase,
            fraction: (self.done as f64 + self.within) / self.fits as f64,
            iterations: self.iterations + now.iterations,
            loss: now.value,
            validation_loss: self.best.map(|best| best.log_loss),
            validation_accuracy: self.best.map(|best| best.accuracy),
        })
    }
}

/// Fits the same rows with one L2 after another.
pub struct Fitter<'a> {
    objective: MeanLoss<'a>,
    directions: Option<Directions>,
    /// The guess of the Hessian, with the L2 that it was made for.
    guess: Option<(f64, CurvatureGuess)>,
    options: &'a FitOptions,
    /// The gradient's norm at which a fit has converged, over that at zero weights.
    tolerance: f64,
    /// Whether the curvature is that of where a fit ended.
    fitted: bool,
    /// The gradient's norm at which a fit has converged.
    target: f64,
}

impl<'a> Fitter<'a> {
    /// For `rows`, up to `tolerance`.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn new(rows: Rows<'a>, options: &'a FitOptions, tolerance: f64) -> Result<Self, FitError> {
        let directions = Directions::measure(&rows)?;
        Self::with_directions(rows, directions, options, tolerance)
    }

    /// For `rows`, with what was measured of such rows before.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn with_directions(
        rows: Rows<'a>,
        directions: Option<Directions>,
        options: &'a FitOptions,
        tolerance: f64,
    ) -> Result<Self, FitError> {
        let objective = MeanLoss::new(rows, 1.0);
        let mut fitter = Self { objective, directions, guess: None, options, tolerance, fitted: false, target: 0.0 };
        fitter.target = fitter.measure_target()?;
        Ok(fitter)
    }

    /// Lets each row count by its weight from now on. The guess of the Hessian stays: it is a guess.
    ///
    /// # Errors
    /// Those of the tensor operations.
    pub fn set_weights(&mut self, weights: Arc<[f32]>) -> Result<(), FitError> {
        self.fitted = false;
        self.objective.set_weights(weights);
        self.target = self.measure_target()?;
        Ok(())
    }

    /// The penalty has no part in the gradient at zero weights, so one target serves every L2.
    fn measure_target(&mut self) -> Result<f64, FitError> {
        let zeros = vec![0.0; self.objective.rows().shape.parameters()];
        let mut gradient = zeros.clone();
        self.objective.evaluate(&zeros, &mut gradient)?;
        Ok(self.tolerance * gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
    }

    /// Fits from `start` with the penalty `l2`.
    ///
    /// # Errors
    /// [`FitError::Cancelled`], and those of the tensor operations.
    pub fn fit(&mut self, l2: f64, start: Vec<f64>, reporter: &mut Reporter<'_>) -> Result<Minimum, FitError> {
        self.objective.set_l2(l2);
        self.prepare_guess(l2)?;
        let limits = Limits { gradient_norm: self.target, max_iterations: self.options.max_iterations };
        self.fitted = true;
        let guess = self.guess.as_ref().map(|(_, guess)| guess as &dyn InverseHessian);
        let (target, mut first) = (self.target, None);
        minimise(&mut self.objective, start, guess, limits, &mut |now| {
            let first = *first.get_or_insert(now.gradient_norm);
            reporter.report(now, first, target)
        })
    }

    /// Makes the guess of the Hessian, from the curvature where the last fit ended, unless the one at hand will do.
    fn prepare_guess(&mut self, l2: f64) -> Result<(), FitError> {
        let Some(directions) = &self.directions else { return Ok(()) };
        let holds = |made_for: f64| (l2 / made_for).max(made_for / l2) <= GUESS_HOLDS_WITHIN;
        if !self.guess.as_ref().is_some_and(|(made_for, _)| holds(*made_for)) {
            // Where nothing is fitted yet, the loss is as curved as it seems, and the guess is for later.
            let (part, first_step) = if self.fitted { (OF_THE_END, 1.0) } else { (OF_THE_START, OF_THE_START) };
            let guess = directions.guess(self.objective.curvature() * part, l2, first_step)?;
            self.guess = guess.map(|guess| (l2, guess));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_when_the_loss_keeps_rising() {
        let trials = |losses: &[f64]| {
            losses.iter().map(|loss| L2Trial { l2: 1.0, log_loss: *loss, accuracy: 0.0 }).collect::<Vec<_>>()
        };
        assert!(rises(&trials(&[1.0, 0.5, 0.6, 0.7, 0.8])));
        assert!(!rises(&trials(&[1.0, 0.5, 0.6, 0.55, 0.8])), "not each time");
        assert!(!rises(&trials(&[1.0, 0.5, 0.501, 0.502, 0.503])), "not by much");
        assert!(!rises(&trials(&[0.5, 0.6, 0.7])), "not often enough");
    }
}
