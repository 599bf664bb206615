//! Checks one example before anything is done with it.

use graft_chassis::status;
use graft_proto::v1::{Example, ExampleOutcome, Image, Split, image::Source};
use tonic::Status;

use super::outcome::rejected;
use crate::{
    content::ContentHash,
    names::{ID_BYTES, check_id, check_labels},
    store::examples::ExampleRow,
};

/// An example that may be stored, if the extractor can embed its image.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is stored of it; its split is decided later if none was given.
    pub row: ExampleRow,
    /// The image.
    pub image: Image,
}

/// Check an example of a dataset that is `multi_label` or not. If it cannot be taken, the outcome that says so.
pub fn check(mut example: Example, multi_label: bool) -> Result<Checked, Box<ExampleOutcome>> {
    let id = std::mem::take(&mut example.id);
    read(&id, example, multi_label).map_err(|status| Box::new(rejected(shortened(id), &status)))
}

fn read(id: &str, example: Example, multi_label: bool) -> Result<Checked, Status> {
    let Example { label, labels, split, image, .. } = example;
    check_id("examples.id", id)?;
    let labels = if labels.is_empty() && (!multi_label || !label.is_empty()) {
        check_labels("examples.label", vec![label], multi_label)?
    } else {
        check_labels(
            "examples.labels",
            [vec![label], labels].concat().into_iter().filter(|l| !l.is_empty()).collect(),
            multi_label,
        )?
    };
    let split = Split::try_from(split).map_err(|_| {
        status::invalid(
            "examples.split",
            format!("{split} is unknown; SPLIT_TRAIN, SPLIT_VALIDATION and SPLIT_TEST are accepted"),
        )
    })?;
    let missing = || status::invalid("examples.image", "missing; encoded bytes or raw pixels are accepted");
    let image = image.ok_or_else(missing)?;
    if let Some(Source::Uri(_)) = image.source {
        let message = "an example is known by its content; send the image itself, encoded or as pixels";
        return Err(status::invalid("examples.image.uri", message));
    }
    let hash = ContentHash::of(&image).ok_or_else(missing)?;
    Ok(Checked { row: ExampleRow { hash, id: id.to_owned(), labels, split }, image })
}

/// An id that is too long is told back no longer than one may be, so that outcomes stay small.
fn shortened(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(ID_BYTES));
    id
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Outcome;

    use super::*;

    fn example(id: &str, label: &str, split: i32, source: Option<Source>) -> Example {
        Example { id: id.into(), label: label.into(), split, image: Some(Image { source }), labels: vec![] }
    }

    fn bytes() -> Option<Source> {
        Some(Source::Encoded(b"bytes".as_slice().into()))
    }

    #[test]
    fn labels_are_one_or_a_set() {
        let labels = |label: &str, labels: &[&str], multi_label| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let checked = check(Example { labels, ..example("a", label, 0, bytes()) }, multi_label);
            checked.map(|checked| checked.row.labels).map_err(|outcome| outcome.error.unwrap())
        };
        assert_eq!(labels("x", &[], false).unwrap(), ["x"]);
        assert_eq!(labels("", &["x"], false).unwrap(), ["x"]);
        assert_eq!(labels("b", &["c", "a", "c"], true).unwrap(), ["a", "b", "c"]);
        assert_eq!(labels("", &[], true).unwrap(), [""; 0]);
        let several = labels("", &["x", "y"], false).unwrap_err();
        assert!(several.field == "examples.labels" && several.message.contains("exactly one"), "{several:?}");
        assert!(labels("", &[&"x".repeat(129)], true).is_err());
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let many = labels("", &many.iter().map(String::as_str).collect::<Vec<_>>(), true).unwrap_err();
        assert!(many.message.contains("101") && many.message.contains("100"), "{many:?}");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_id_told_back() {
        let long = "ä".repeat(200);
        for (bad, field) in [
            (example("", "x", 0, bytes()), "examples.id"),
            (example(&long, "x", 0, bytes()), "examples.id"),
            (example("a", "", 0, bytes()), "examples.label"),
            (example("a", "tab\t", 0, bytes()), "examples.label"),
            (example("a", &"x".repeat(129), 0, bytes()), "examples.label"),
            (example("a", "x", 9, bytes()), "examples.split"),
            (example("a", "x", 0, None), "examples.image"),
            (example("a", "x", 0, Some(Source::Uri("https://host/a.jpg".into()))), "examples.image.uri"),
            (Example { image: None, ..example("a", "x", 0, None) }, "examples.image"),
        ] {
            let id = bad.id.clone();
            let outcome = check(bad, false).unwrap_err();
            assert_eq!(outcome.outcome(), Outcome::Rejected);
            assert!(id.starts_with(&outcome.id) && outcome.id.len() <= 256);
            assert_eq!(outcome.error.unwrap().field, field);
        }
    }
}
