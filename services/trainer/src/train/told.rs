//! What whoever watches a run is told, and whether it is to go on.

use std::ops::ControlFlow;

use graft_proto::v1::{TrainingPhase, TrainingProgress};

use super::effort::{Effort, Step};
use crate::fit::{FitError, Phase, Progress};

/// Told of the progress, it answers whether to go on.
pub type Watch = Box<dyn FnMut(TrainingProgress) -> bool + Send>;

/// Tells how far a run is.
pub struct Told {
    watch: Watch,
    effort: Effort,
    /// What was told last: a step that has no loss of its own shows that of the fit before it.
    last: TrainingProgress,
}

impl Told {
    /// For a run of this effort.
    pub fn new(watch: Watch, effort: Effort) -> Told {
        Told { watch, effort, last: TrainingProgress::default() }
    }

    /// Tell that `within` of `step` is done.
    ///
    /// # Errors
    /// [`FitError::Cancelled`] if the run is to stop.
    pub fn at(&mut self, step: Step, within: f64) -> Result<(), FitError> {
        self.last.phase = step.phase() as i32;
        self.tell(step, within)
    }

    /// Tell how far the fit of the head is.
    pub fn fit(&mut self, now: Progress) -> ControlFlow<()> {
        let phase = match now.phase {
            Phase::Select => TrainingPhase::Select,
            Phase::CrossValidate => TrainingPhase::CrossValidate,
            Phase::Refit => TrainingPhase::Refit,
        };
        self.last = TrainingProgress {
            phase: phase as i32,
            fraction: 0.0,
            iterations: now.iterations,
            loss: now.loss,
            validation_loss: now.validation_loss.unwrap_or_default(),
            validation_accuracy: now.validation_accuracy.unwrap_or_default(),
        };
        control(self.tell(Step::Fit, now.fraction))
    }

    /// Tell how far a fit is that is no more than evidence: the loss that is shown stays that of the head.
    pub fn within(&mut self, step: Step, within: f64) -> ControlFlow<()> {
        control(self.at(step, within))
    }

    fn tell(&mut self, step: Step, within: f64) -> Result<(), FitError> {
        self.last.fraction = self.effort.fraction(step, within);
        if (self.watch)(self.last) { Ok(()) } else { Err(FitError::Cancelled) }
    }
}

fn control(told: Result<(), FitError>) -> ControlFlow<()> {
    if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
