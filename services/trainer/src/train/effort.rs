//! How much evidence a run gathers beside measuring its head, and how long each step of it takes.

use graft_proto::v1::{EvidenceOptions, Gather, TrainingPhase};

/// The most examples times classes up to which label errors are looked for, and the learning curve is measured, unless told.
pub const USUAL_WORK: usize = 250_000;

/// What is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Which labels are likely wrong.
    pub label_errors: bool,
    /// What more examples would give.
    pub learning_curve: bool,
}

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the embeddings.
    Load,
    /// The fit, with the choice of its options.
    Fit,
    /// Measuring on the test split.
    Measure,
    /// Fitting on parts of the examples.
    LearningCurve,
    /// Cross-validating.
    LabelErrors,
}

/// The steps in their order, each with about the time that it takes, in fits.
const STEPS: [(Step, f64); 5] =
    [(Step::Load, 0.05), (Step::Fit, 1.0), (Step::Measure, 0.1), (Step::LearningCurve, 0.3), (Step::LabelErrors, 1.0)];

impl Effort {
    /// What is wanted where `rows` are fitted on, whose embeddings take `bytes`. Both need a copy of some of the embeddings: they
    /// are left out where two copies would take more than `most_bytes`.
    pub fn new(
        wanted: Option<&EvidenceOptions>,
        rows: usize,
        classes: usize,
        bytes: usize,
        most_bytes: usize,
    ) -> Effort {
        let usual = rows.saturating_mul(classes) <= USUAL_WORK;
        let fits = bytes.saturating_mul(2) <= most_bytes;
        let gather = |wanted: Gather| match wanted {
            Gather::Unspecified => usual && fits,
            Gather::Always => fits,
            Gather::Never => false,
        };
        let wanted = wanted.copied().unwrap_or_default();
        Effort { label_errors: gather(wanted.label_errors()), learning_curve: gather(wanted.learning_curve()) }
    }

    /// The part of the run that is done, when `within` of `step` is.
    pub fn fraction(self, step: Step, within: f64) -> f64 {
        let steps = STEPS.iter().filter(|(step, _)| match step {
            Step::LearningCurve => self.learning_curve,
            Step::LabelErrors => self.label_errors,
            Step::Load | Step::Fit | Step::Measure => true,
        });
        let (mut done, mut all) = (0.0, 0.0);
        for (of, takes) in steps {
            if *of == step {
                done = all + within.clamp(0.0, 1.0) * takes;
            }
            all += takes;
        }
        done / all
    }
}

impl Step {
    /// As the API tells it.
    pub fn phase(self) -> TrainingPhase {
        match self {
            Step::Load => TrainingPhase::Load,
            Step::Fit => TrainingPhase::Select,
            Step::Measure => TrainingPhase::Evaluate,
            Step::LearningCurve => TrainingPhase::LearningCurve,
            Step::LabelErrors => TrainingPhase::LabelErrors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(label_errors: Gather, learning_curve: Gather) -> Option<EvidenceOptions> {
        Some(EvidenceOptions { label_errors: label_errors as i32, learning_curve: learning_curve as i32 })
    }

    #[test]
    fn what_takes_long_is_done_on_request_and_what_does_not_fit_never() {
        let both = Effort { label_errors: true, learning_curve: true };
        let none = Effort { label_errors: false, learning_curve: false };
        assert_eq!(Effort::new(None, 25_000, 10, 50, 100), both);
        assert_eq!(Effort::new(None, 25_001, 10, 50, 100), none);
        assert!(Effort::new(options(Gather::Always, Gather::Never).as_ref(), 1 << 40, 10, 50, 100).label_errors);
        assert_eq!(Effort::new(options(Gather::Never, Gather::Never).as_ref(), 10, 2, 50, 100), none);
        assert_eq!(Effort::new(options(Gather::Always, Gather::Always).as_ref(), 10, 2, 51, 100), none);
    }

    #[test]
    fn the_fraction_never_falls_and_ends_at_1() {
        for effort in [
            Effort { label_errors: true, learning_curve: true },
            Effort { label_errors: false, learning_curve: true },
            Effort { label_errors: false, learning_curve: false },
        ] {
            let mut before = 0.0;
            for (step, _) in STEPS {
                let wanted = match step {
                    Step::LearningCurve => effort.learning_curve,
                    Step::LabelErrors => effort.label_errors,
                    _ => true,
                };
                if wanted {
                    assert!(effort.fraction(step, 0.0) >= before);
                    before = effort.fraction(step, 1.0);
                }
            }
            assert!((before - 1.0).abs() < 1e-12);
        }
    }
}
