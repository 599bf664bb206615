//! What became of an example.

use graft_chassis::status;
use graft_proto::v1::{ExampleOutcome, Outcome};
use metrics::counter;
use tonic::Status;

use crate::{names::MOST_LABELS, store::examples::ExampleRow};

/// Stored, or known already.
pub fn outcome(id: String, outcome: Outcome) -> ExampleOutcome {
    ExampleOutcome { id, outcome: outcome as i32, error: None }
}

/// Not stored, and why.
pub fn rejected(id: String, status: &Status) -> ExampleOutcome {
    ExampleOutcome { id, outcome: Outcome::Rejected as i32, error: Some(status::to_item_error(status)) }
}

/// The outcome of an image that came once more, and that the dataset has already as `stored`.
pub fn same_image(again: &ExampleRow, stored: &ExampleRow) -> ExampleOutcome {
    let id = again.id.clone();
    if !again.contradicts(stored) {
        return outcome(id, Outcome::AlreadyKnown);
    }
    let message = format!(
        "`{}` was given, but the dataset holds this very image as `{}`; one image is labelled once: the conflict is noted, \
         and relabelling settles it",
        again.labels.join("`, `"),
        stored.labels.join("`, `"),
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
    use graft_proto::v1::Split;
    use tonic::Code;

    use super::*;
    use crate::content::ContentHash;

    #[test]
    fn one_image_has_one_label() {
        let row = |label: &str| {
            let (hash, labels) = (ContentHash::from_slice(&[7; 32]).unwrap(), vec![label.to_owned()]);
            ExampleRow { hash, id: "a".into(), labels, split: Split::Train }
        };
        let (cat, dog) = (row("cat"), row("dog"));
        assert_eq!(same_image(&cat, &cat).outcome(), Outcome::AlreadyKnown);
        let unlabelled = ExampleRow { labels: vec![], split: Split::Unlabelled, ..row("") };
        assert_eq!(same_image(&unlabelled, &dog).outcome(), Outcome::AlreadyKnown, "it says nothing else");
        let conflict = same_image(&cat, &dog);
        assert_eq!(conflict.outcome(), Outcome::Rejected);
        let error = conflict.error.unwrap();
        assert_eq!(error.code, Code::FailedPrecondition as i32);
        assert!(error.message.contains("`cat`") && error.message.contains("`dog`"), "{}", error.message);
    }
}
