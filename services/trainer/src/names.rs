//! Names and ids that must not be mixed up, checked once at the edge.

use std::{fmt, sync::Arc};

use graft_chassis::status;
use tonic::{Request, Status};

/// The longest name of a dataset or head, in bytes.
const NAME_BYTES: usize = 63;
/// Labels of one dataset, and so classes of a head, at the most: a confusion matrix of them fits a message.
pub const MOST_LABELS: usize = 1000;
/// Labels of one example, at the most.
const LABELS_EACH: usize = 100;
/// The longest label, in bytes.
const LABEL_BYTES: usize = 128;
/// The longest id that a caller gives an item, in bytes.
pub const ID_BYTES: usize = 256;

/// Whose rows are meant. It comes from the caller's credentials, never from the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Default for Tenant {
    fn default() -> Self {
        Tenant("default".into())
    }
}

/// The name of a dataset or a head.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

/// `NAME`, a head's newest version, or `NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadRef {
    /// The head.
    pub name: Name,
    /// The version; the newest unless told.
    pub version: Option<u32>,
}

impl Tenant {
    /// Whose request this is: what the authentication found, else the default.
    pub fn of<T>(request: &Request<T>) -> Tenant {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// A tenant that the store has.
    pub fn stored(text: String) -> Tenant {
        Tenant(text.into())
    }

    /// As the store has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Check a name; `field` is the request's field that holds it.
    pub fn parse(field: &str, text: &str) -> Result<Name, Status> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let shaped = text.starts_with(fine) && text.chars().all(|c| fine(c) || matches!(c, '-' | '_' | '.'));
        if shaped && text.len() <= NAME_BYTES {
            return Ok(Name(text.to_owned()));
        }
        Err(status::invalid(
            field,
            format!(
                "`{}` is no name; 1 to {NAME_BYTES} characters of a-z, 0-9, -, _ and . are accepted, the first a letter or a digit",
                status::quoted(text)
            ),
        ))
    }

    /// As the store has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HeadRef {
    /// Check a head's name with or without a version.
    pub fn parse(field: &str, text: &str) -> Result<HeadRef, Status> {
        let Some((name, version)) = text.split_once('@') else {
            return Ok(HeadRef { name: Name::parse(field, text)?, version: None });
        };
        let number = version.parse().ok().filter(|version| *version > 0).ok_or_else(|| {
            status::invalid(
                field,
                format!("`{}` is no version; a number from 1 on is accepted, as in fashion@3", status::quoted(version)),
            )
        })?;
        Ok(HeadRef { name: Name::parse(field, name)?, version: Some(number) })
    }
}

impl fmt::Display for HeadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// Check a label.
pub fn check_label(field: &str, label: &str) -> Result<(), Status> {
    if (1..=LABEL_BYTES).contains(&label.len()) && !label.chars().any(char::is_control) {
        return Ok(());
    }
    let found = label.len();
    Err(status::invalid(
        field,
        format!("{found} bytes, or control characters; 1 to {LABEL_BYTES} bytes of text are accepted"),
    ))
}

/// Check the labels of one example: exactly one, or a set of them if the dataset is `multi_label`. Gives them sorted, each once.
pub fn check_labels(field: &str, mut labels: Vec<String>, multi_label: bool) -> Result<Vec<String>, Status> {
    labels.iter().try_for_each(|label| check_label(field, label))?;
    labels.sort();
    labels.dedup();
    match labels.len() {
        1 => Ok(labels),
        0..=LABELS_EACH if multi_label => Ok(labels),
        many if multi_label => {
            Err(status::invalid(field, format!("{many} labels; at most {LABELS_EACH} are accepted")))
        }
        many => Err(status::invalid(
            field,
            format!(
                "{many} labels; exactly one is accepted, or several in a dataset that was created with multi_label"
            ),
        )),
    }
}

/// Check the id that a caller gave an item.
pub fn check_id(field: &str, id: &str) -> Result<(), Status> {
    if (1..=ID_BYTES).contains(&id.len()) {
        return Ok(());
    }
    Err(status::invalid(field, format!("{} bytes; 1 to {ID_BYTES} bytes are accepted", id.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_versions_are_numbers() {
        for good in ["a", "fashion-mnist_2.1", &"x".repeat(63)] {
            assert_eq!(Name::parse("name", good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "A", "-a", ".a", "a b", "ä", &"x".repeat(64)] {
            assert!(Name::parse("name", bad).is_err(), "{bad}");
        }
        assert_eq!(HeadRef::parse("head", "a@3").unwrap().to_string(), "a@3");
        assert_eq!(HeadRef::parse("head", "a").unwrap().version, None);
        for bad in ["a@", "a@0", "a@-1", "a@b", "@1", "a@1@2", "a/b@1"] {
            assert!(HeadRef::parse("head", bad).is_err(), "{bad}");
        }
    }
}
