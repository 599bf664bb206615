//! The gate before a promotion: a version that is worse than the one whose place it takes is not let through.

use graft_chassis::status;
use graft_proto::v1::{CompareHeadsResponse, Gate, GateFigures, GateOutcome, Head};
use tonic::Status;

use super::{Comparer, error::CompareError, split::Wanted};
use crate::names::Tenant;

/// By how much a figure may be lower, unless told.
const USUAL_TOLERANCE: f64 = 0.01;
/// A difference that is none: figures are ratios of counts, which the arithmetic blurs.
const BLUR: f64 = 1e-9;

/// Two versions, measured on the same test split.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The snapshot of the test split.
    pub snapshot: String,
    /// Examples of the test split.
    pub test_count: u64,
    /// The figures of the version that an alias is on.
    pub current: GateFigures,
    /// The figures of the version that is to take its place.
    pub promoted: GateFigures,
    /// What else there is to know; may be empty.
    pub note: String,
}

/// What came of measuring two versions.
#[derive(Clone, Debug, PartialEq)]
pub enum Weighed {
    /// Both were measured.
    Measured(Measured),
    /// They cannot be measured on the same examples, and why.
    Impossible(String),
}

/// How much worse a version may be.
pub fn check_tolerance(tolerance: Option<f64>) -> Result<f64, Status> {
    let tolerance = tolerance.unwrap_or(USUAL_TOLERANCE);
    if (0.0..=1.0).contains(&tolerance) {
        return Ok(tolerance);
    }
    Err(status::invalid("tolerance", format!("{tolerance}; 0 to 1 is accepted, {USUAL_TOLERANCE} unless told")))
}

/// Both versions by their reports. `None` if those are not of the same test split.
fn reported(current: &Head, promoted: &Head) -> Option<Measured> {
    let (current, promoted) = (current.report.as_ref()?, promoted.report.as_ref()?);
    let same = !current.snapshot.is_empty() && current.snapshot == promoted.snapshot;
    if !same || current.test_count != promoted.test_count || current.test_count == 0 {
        return None;
    }
    let figures = |accuracy, macro_f1| GateFigures { accuracy, macro_f1 };
    Some(Measured {
        snapshot: promoted.snapshot.clone(),
        test_count: promoted.test_count,
        current: figures(current.accuracy, current.macro_f1),
        promoted: figures(promoted.accuracy, promoted.macro_f1),
        note: String::new(),
    })
}

impl Comparer {
    /// Measure a version that is to take the place of `current` beside it: by their reports if those are of the same test split, else on
    /// that of its own snapshot.
    pub async fn weigh(&self, tenant: &Tenant, current: &Head, promoted: &Head) -> Result<Weighed, CompareError> {
        if let Some(measured) = reported(current, promoted) {
            return Ok(Weighed::Measured(measured));
        }
        let id = promoted.report.as_ref().map(|report| report.snapshot.as_str()).unwrap_or_default();
        let wanted = Wanted { id, datasets: [&promoted.dataset; 2] };
        match self.compare(tenant, [current, promoted], wanted, 0).await {
            Ok(found) => Ok(Weighed::Measured(compared(found))),
            Err(error) if error.is_impossible() => Ok(Weighed::Impossible(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// What a comparison says to the gate.
fn compared(found: CompareHeadsResponse) -> Measured {
    let (current, promoted) = (found.first.unwrap_or_default(), found.second.unwrap_or_default());
    let mut notes = vec![format!("both were measured on the snapshot of {}", promoted.head)];
    match current.fitted_on {
        Some(0) => {}
        Some(fitted) => notes.push(format!("{} was fitted on {fitted} of the test examples", current.head)),
        None => notes.push(format!("it is not known which of the test examples {} was fitted on", current.head)),
    }
    Measured {
        snapshot: found.snapshot,
        test_count: found.test_count,
        current: GateFigures { accuracy: current.accuracy, macro_f1: current.macro_f1 },
        promoted: GateFigures { accuracy: promoted.accuracy, macro_f1: promoted.macro_f1 },
        note: notes.join("; "),
    }
}

impl Measured {
    /// The figures that are lower by more than `tolerance`, in words; empty if there are none.
    pub fn worse(&self, tolerance: f64) -> String {
        let figures = [
            ("accuracy", self.promoted.accuracy, self.current.accuracy),
            ("macro F1", self.promoted.macro_f1, self.current.macro_f1),
        ];
        let lower = figures.into_iter().filter(|(_, promoted, current)| current - promoted > tolerance + BLUR);
        let told = lower.map(|(name, promoted, current)| format!("{name} {promoted:.4} instead of {current:.4}"));
        told.collect::<Vec<_>>().join(", ")
    }

    /// As the API tells it.
    pub fn told(self, outcome: GateOutcome, tolerance: f64) -> Gate {
        Gate {
            outcome: outcome as i32,
            note: self.note,
            snapshot: self.snapshot,
            current: Some(self.current),
            promoted: Some(self.promoted),
            tolerance,
        }
    }
}

/// The gate where nothing was measured.
pub fn unmeasured(outcome: GateOutcome, note: impl Into<String>, tolerance: f64) -> Gate {
    Gate { outcome: outcome as i32, note: note.into(), tolerance, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Report;

    use super::*;

    fn head(snapshot: &str, test_count: u64, accuracy: f64, macro_f1: f64) -> Head {
        let report = Report { snapshot: snapshot.into(), test_count, accuracy, macro_f1, ..Default::default() };
        Head { report: Some(report), ..Default::default() }
    }

    #[test]
    fn either_figure_closes_the_gate_and_the_tolerance_itself_does_not() {
        let worse = |accuracy, macro_f1, tolerance| {
            let current = head("s", 9, 0.9, 0.8);
            reported(&current, &head("s", 9, accuracy, macro_f1)).unwrap().worse(tolerance)
        };
        assert_eq!(worse(0.9, 0.8, 0.0), "");
        assert_eq!(worse(0.89, 0.79, 0.01), "", "exactly as much as is tolerated");
        assert_eq!(worse(0.91, 0.78, 0.01), "macro F1 0.7800 instead of 0.8000");
        assert_eq!(worse(0.8, 0.7, 0.05), "accuracy 0.8000 instead of 0.9000, macro F1 0.7000 instead of 0.8000");
        assert_eq!(worse(0.0, 0.0, 1.0), "");
    }

    #[test]
    fn reports_are_comparable_on_the_same_examples_alone() {
        let current = head("s", 9, 0.9, 0.8);
        for other in [head("t", 9, 0.9, 0.8), head("s", 8, 0.9, 0.8), Head::default()] {
            assert_eq!(reported(&current, &other), None);
        }
        assert_eq!(reported(&head("s", 0, 0.0, 0.0), &head("s", 0, 0.0, 0.0)), None, "nothing was measured");
        assert_eq!(reported(&head("", 9, 0.9, 0.8), &head("", 9, 0.9, 0.8)), None);
    }

    #[test]
    fn a_tolerance_is_a_part() {
        assert_eq!(check_tolerance(None).unwrap(), 0.01);
        assert_eq!(check_tolerance(Some(0.0)).unwrap(), 0.0);
        assert!([-0.1, 1.1, f64::NAN, f64::INFINITY].into_iter().all(|bad| check_tolerance(Some(bad)).is_err()));
    }
}
