//! Checks one example before anything is done with it.

use graft_chassis::status;
use graft_proto::v1::{Embedding, Example, ExampleOutcome, Image, Split, image::Source};
use tonic::Status;

use super::outcome::rejected;
use crate::{
    content::ContentHash,
    given::{self, Taker},
    names::{ID_BYTES, check_id, check_labels},
    store::{datasets::DatasetRow, examples::ExampleRow},
};

/// An example that may be stored, if the extractor can embed its image.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is stored of it; its split is decided later if none was given.
    pub row: ExampleRow,
    /// What came of it.
    pub came: Came,
}

/// What an example is brought as.
#[derive(Clone, Debug)]
pub enum Came {
    /// An image, for the extractor.
    Image(Image),
    /// Its embedding, `[dimension]`.
    Embedding(Vec<f32>),
}

/// Check an example of `dataset`. If it cannot be taken, the outcome that says so.
pub fn check(mut example: Example, dataset: &DatasetRow) -> Result<Checked, Box<ExampleOutcome>> {
    let id = std::mem::take(&mut example.id);
    read(&id, example, dataset).map_err(|status| Box::new(rejected(shortened(id), &status)))
}

fn read(id: &str, example: Example, dataset: &DatasetRow) -> Result<Checked, Status> {
    let Example { label, labels, split, image, embedding, .. } = example;
    let multi_label = dataset.multi_label;
    check_id("examples.id", id)?;
    let split = Split::try_from(split).map_err(|_| {
        status::invalid(
            "examples.split",
            format!("{split} is unknown; SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST and SPLIT_UNLABELLED are accepted"),
        )
    })?;
    let labels = if split == Split::Unlabelled {
        no_labels(&label, &labels)?
    } else if labels.is_empty() && (!multi_label || !label.is_empty()) {
        check_labels("examples.label", vec![label], multi_label)?
    } else {
        check_labels(
            "examples.labels",
            [vec![label], labels].concat().into_iter().filter(|l| !l.is_empty()).collect(),
            multi_label,
        )?
    };
    let (hash, came) = match (image, embedding) {
        (Some(_), Some(_)) => {
            let message = "given beside `image`; an example is one or the other";
            return Err(status::invalid("examples.embedding", message));
        }
        (image, None) => read_image(image)?,
        (None, Some(embedding)) => read_embedding(&embedding, dataset, split)?,
    };
    Ok(Checked { row: ExampleRow { hash, id: id.to_owned(), labels, split }, came })
}

fn read_image(image: Option<Image>) -> Result<(ContentHash, Came), Status> {
    let missing = || status::invalid("examples.image", "missing; encoded bytes or raw pixels are accepted");
    let image = image.ok_or_else(missing)?;
    if let Some(Source::Uri(_)) = image.source {
        let message = "an example is known by its content; send the image itself, encoded or as pixels";
        return Err(status::invalid("examples.image.uri", message));
    }
    let hash = ContentHash::of(&image).ok_or_else(missing)?;
    Ok((hash, Came::Image(image)))
}

fn read_embedding(embedding: &Embedding, dataset: &DatasetRow, split: Split) -> Result<(ContentHash, Came), Status> {
    if dataset.views() > 0 && split != Split::Test {
        let message = format!(
            "`{}` has views of its examples, which are made of images; send the image, or say SPLIT_TEST",
            dataset.name
        );
        return Err(status::precondition("examples.embedding", message));
    }
    let (name, dimension) = (format!("the dataset `{}`", dataset.name), dataset.dimension as usize);
    let taker = Taker { name: &name, space: &dataset.space, dimension };
    let numbers = given::read("examples.embedding", embedding, taker)?;
    Ok((ContentHash::of_embedding(&numbers), Came::Embedding(numbers)))
}

/// What is said to be unlabelled must be so.
fn no_labels(label: &str, labels: &[String]) -> Result<Vec<String>, Status> {
    let Some(given) = Some(label).filter(|label| !label.is_empty()).or(labels.first().map(String::as_str)) else {
        return Ok(Vec::new());
    };
    let given = status::quoted(given);
    let message =
        format!("`{given}` was given; with SPLIT_UNLABELLED none is accepted, and with a label another split");
    Err(status::invalid("examples.label", message))
}

/// An id that is too long is told back no longer than one may be, so that outcomes stay small.
fn shortened(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(ID_BYTES));
    id
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::{Augmentation, Outcome};

    use super::*;

    fn example(id: &str, label: &str, split: i32, source: Option<Source>) -> Example {
        let image = Some(Image { source });
        Example { id: id.into(), label: label.into(), split, image, ..Default::default() }
    }

    fn dataset(multi_label: bool) -> DatasetRow {
        DatasetRow {
            id: 1,
            name: "d".into(),
            backbone: "net".into(),
            space: "net@0".into(),
            dimension: 2,
            create_time: 0,
            multi_label,
            augmentation: None,
        }
    }

    fn bytes() -> Option<Source> {
        Some(Source::Encoded(b"bytes".as_slice().into()))
    }

    #[test]
    fn labels_are_one_or_a_set() {
        let labels = |label: &str, labels: &[&str], multi_label| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let checked = check(Example { labels, ..example("a", label, 0, bytes()) }, &dataset(multi_label));
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
    fn a_missing_label_must_be_said() {
        let unlabelled = Split::Unlabelled as i32;
        for multi_label in [false, true] {
            let row = check(example("a", "", unlabelled, bytes()), &dataset(multi_label)).unwrap().row;
            assert!(row.is_unlabelled() && row.labels.is_empty());
            let both =
                check(example("a", "cat", unlabelled, bytes()), &dataset(multi_label)).unwrap_err().error.unwrap();
            assert!(both.field == "examples.label" && both.message.contains("`cat`"), "{both:?}");
            let set = Example { labels: vec!["dog".into()], ..example("a", "", unlabelled, bytes()) };
            assert!(check(set, &dataset(multi_label)).is_err());
        }
        assert!(check(example("a", "", 0, bytes()), &dataset(false)).is_err(), "by accident it is an error");
        assert!(!check(example("a", "", 0, bytes()), &dataset(true)).unwrap().row.is_unlabelled(), "none applies");
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
            let outcome = check(bad, &dataset(false)).unwrap_err();
            assert_eq!(outcome.outcome(), Outcome::Rejected);
            assert!(id.starts_with(&outcome.id) && outcome.id.len() <= 256);
            assert_eq!(outcome.error.unwrap().field, field);
        }
    }

    #[test]
    fn an_embedding_is_taken_instead_of_an_image() {
        let bytes = |numbers: [f32; 2]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let given = |space: &str, data: Vec<u8>| Example {
            image: None,
            embedding: Some(Embedding { space: space.into(), dtype: 0, data: data.into() }),
            ..example("a", "x", 0, None)
        };
        let Checked { row, came } = check(given("net@0", bytes([1.0, 2.0])), &dataset(false)).unwrap();
        let Came::Embedding(numbers) = came else { panic!("{came:?}") };
        assert_eq!((numbers, row.hash), (vec![1.0, 2.0], ContentHash::of_embedding(&[1.0, 2.0])));

        let both = Example { image: example("a", "x", 0, self::bytes()).image, ..given("net@0", bytes([1.0, 2.0])) };
        for (bad, field) in [
            (given("net@1", bytes([1.0, 2.0])), "examples.embedding.space"),
            (given("net@0", bytes([1.0, f32::NAN])), "examples.embedding.data"),
            (given("net@0", vec![0; 4]), "examples.embedding.data"),
            (both, "examples.embedding"),
        ] {
            let error = check(bad, &dataset(false)).unwrap_err().error.unwrap();
            assert!(error.message.starts_with(&format!("{field}: ")), "{error:?}");
        }
        let views =
            DatasetRow { augmentation: Some(Augmentation { views: 2, ..Default::default() }), ..dataset(false) };
        let refused = check(given("net@0", bytes([1.0, 2.0])), &views).unwrap_err().error.unwrap();
        assert!(refused.message.contains("views"), "{refused:?}");
        let test = Example { split: Split::Test as i32, ..given("net@0", bytes([1.0, 2.0])) };
        assert!(check(test, &views).is_ok());
    }
}
