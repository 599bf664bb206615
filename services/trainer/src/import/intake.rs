//! Checks one example before anything is done with it.

use graft_chassis::status;
use graft_proto::v1::{Example, ExampleOutcome, Image, Split, image::Source};
use tonic::Status;

use super::outcome::rejected;
use crate::{
    content::ContentHash,
    fit::split::by_content,
    names::{ID_BYTES, check_id, check_label},
    store::datasets::ExampleRow,
};

/// An example that may be stored, if the extractor can embed its image.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The caller's id.
    pub id: String,
    /// What is stored of it; its split is decided.
    pub row: ExampleRow,
    /// The image.
    pub image: Image,
}

/// Check an example. If it cannot be taken, the outcome that says so.
pub fn check(mut example: Example) -> Result<Checked, Box<ExampleOutcome>> {
    let id = std::mem::take(&mut example.id);
    match read(&id, example) {
        Ok((row, image)) => Ok(Checked { id, row, image }),
        Err(status) => Err(Box::new(rejected(shortened(id), &status))),
    }
}

fn read(id: &str, example: Example) -> Result<(ExampleRow, Image), Status> {
    let Example { label, split, image, .. } = example;
    check_id("examples.id", id)?;
    check_label("examples.label", &label)?;
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
    let split = if split == Split::Unspecified { by_content(hash.as_bytes()) } else { split };
    Ok((ExampleRow { hash, label, split }, image))
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
        Example { id: id.into(), label: label.into(), split, image: Some(Image { source }) }
    }

    fn bytes() -> Option<Source> {
        Some(Source::Encoded(b"bytes".as_slice().into()))
    }

    #[test]
    fn a_split_that_was_not_said_follows_from_the_content_alone() {
        let split = |id: &str, label: &str, split| check(example(id, label, split, bytes())).unwrap().row.split;
        assert_eq!(split("a", "x", 0), split("b", "y", 0));
        assert!(split("a", "x", 0) != Split::Unspecified);
        assert_eq!(split("a", "x", Split::Test as i32), Split::Test);
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
            let outcome = check(bad).unwrap_err();
            assert_eq!(outcome.outcome(), Outcome::Rejected);
            assert!(id.starts_with(&outcome.id) && outcome.id.len() <= 256);
            assert_eq!(outcome.error.unwrap().field, field);
        }
    }
}
