//! What became of an example.

use graft_chassis::status;
use graft_proto::v1::{ExampleOutcome, Outcome};
use metrics::counter;
use tonic::Status;

use crate::names::MOST_LABELS;

/// Stored, or known already.
pub fn outcome(id: String, outcome: Outcome) -> ExampleOutcome {
    ExampleOutcome { id, outcome: outcome as i32, error: None }
}

/// Not stored, and why.
pub fn rejected(id: String, status: &Status) -> ExampleOutcome {
    ExampleOutcome { id, outcome: Outcome::Rejected as i32, error: Some(status::to_item_error(status)) }
}

/// The outcome of an image that the dataset has already, with the labels `stored`.
pub fn same_image(id: String, labels: &[String], stored: &[String]) -> ExampleOutcome {
    if labels == stored {
        return outcome(id, Outcome::AlreadyKnown);
    }
    let message = format!(
        "`{}` was given, but the dataset holds this very image as `{}`; one image is labelled once: the conflict is noted, \
         and relabelling settles it",
        labels.join("`, `"),
        stored.join("`, `"),
    );
    rejected(id, &status::precondition("examples.label", message))
}

/// The outcome of an example whose label would be one too many.
pub fn too_many_labels(id: String, label: &str) -> ExampleOutcome {
    let message = format!(
        "`{label}` is one label too many: the dataset has {MOST_LABELS}, and at most {MOST_LABELS} are accepted"
    );
    rejected(id, &status::precondition("examples.label", message))
}

/// Count outcomes by what they are.
pub fn count(outcomes: &[ExampleOutcome]) {
    for outcome in outcomes {
        let name = match outcome.outcome() {
            Outcome::Stored => "stored",
            Outcome::AlreadyKnown => "already_known",
            Outcome::Rejected | Outcome::Unspecified => "rejected",
        };
        counter!("graft_trainer_examples_total", "outcome" => name).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn one_image_has_one_label() {
        let (cat, dog) = (["cat".to_owned()], ["dog".to_owned()]);
        assert_eq!(same_image("a".into(), &cat, &cat).outcome(), Outcome::AlreadyKnown);
        let conflict = same_image("a".into(), &cat, &dog);
        assert_eq!(conflict.outcome(), Outcome::Rejected);
        let error = conflict.error.unwrap();
        assert_eq!(error.code, Code::FailedPrecondition as i32);
        assert!(error.message.contains("`cat`") && error.message.contains("`dog`"), "{}", error.message);
    }
}
