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

/// A name for a version of a head that can be moved to another version. It is never digits alone: those are a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias(Name);

/// `NAME`, a head's newest version; `NAME@VERSION`; or `NAME@ALIAS`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadRef {
    /// The head.
    pub name: Name,
    /// Which of its versions.
    pub which: Which,
}

/// A version of a head.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The newest.
    Newest,
    /// The one of this number.
    Version(u32),
    /// The one that this alias is on.
    Alias(Alias),
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

impl Alias {
    /// Check an alias; `field` is the request's field that holds it.
    pub fn parse(field: &str, text: &str) -> Result<Alias, Status> {
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
            let message = format!("`{}` is a version; an alias is not digits alone", status::quoted(text));
            return Err(status::invalid(field, message));
        }
        Ok(Alias(Name::parse(field, text)?))
    }

    /// As the store has it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl HeadRef {
    /// Check a head's name with or without a version or an alias.
    pub fn parse(field: &str, text: &str) -> Result<HeadRef, Status> {
        let (name, which) = match text.split_once('@') {
            None => (text, Which::Newest),
            Some((name, which)) => (name, Which::parse(field, which)?),
        };
        Ok(HeadRef { name: Name::parse(field, name)?, which })
    }

    /// A version of a head.
    pub fn version_of(name: &Name, version: u32) -> HeadRef {
        HeadRef { name: name.clone(), which: Which::Version(version) }
    }

    /// The version, if it is told by its number.
    pub fn version(&self) -> Option<u32> {
        match self.which {
            Which::Version(version) => Some(version),
            Which::Newest | Which::Alias(_) => None,
        }
    }

    /// The alias, if there is one.
    pub fn alias(&self) -> Option<&Alias> {
        match &self.which {
            Which::Alias(alias) => Some(alias),
            Which::Newest | Which::Version(_) => None,
        }
    }
}

impl Which {
    fn parse(field: &str, text: &str) -> Result<Which, Status> {
        let version = text.parse().ok().filter(|version| *version > 0).map(Which::Version);
        version.or_else(|| Alias::parse(field, text).ok().map(Which::Alias)).ok_or_else(|| {
            let message = format!(
                "`{}` is neither a version nor an alias; a number from 1 on is accepted, as in fashion@3, or a name, as in \
                 fashion@production",
                status::quoted(text)
            );
            status::invalid(field, message)
        })
    }
}

impl fmt::Display for HeadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Newest => write!(f, "{}", self.name),
            Which::Version(version) => write!(f, "{}@{version}", self.name),
            Which::Alias(alias) => write!(f, "{}@{alias}", self.name),
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

/// Check the key that keeps a caller's requests on one side of a canary; empty where there is none.
pub fn check_key(field: &str, key: &str) -> Result<(), Status> {
    if key.len() <= ID_BYTES {
        return Ok(());
    }
    Err(status::invalid(field, format!("{} bytes; at most {ID_BYTES} bytes are accepted", key.len())))
}

/// Check what a caller says who it is; empty where it does not say.
pub fn check_caller(field: &str, by: &str) -> Result<(), Status> {
    if by.is_empty() { Ok(()) } else { check_label(field, by) }
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
        assert_eq!(HeadRef::parse("head", "a").unwrap().which, Which::Newest);
        for bad in ["a@", "a@0", "a@-1", "@1", "a@1@2", "a/b@1", "a@4294967296"] {
            assert!(HeadRef::parse("head", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_alias_is_never_taken_for_a_version() {
        for (text, version, alias) in
            [("a@3", Some(3), None), ("a@production", None, Some("production")), ("a@3.1", None, Some("3.1"))]
        {
            let found = HeadRef::parse("head", text).unwrap();
            assert_eq!((found.version(), found.alias().map(Alias::as_str)), (version, alias), "{text}");
            assert_eq!(found.to_string(), text);
        }
        for bad in ["", "7", "007", "Production", "a b", "a@b", &"x".repeat(64)] {
            assert!(Alias::parse("alias", bad).is_err(), "{bad}");
            assert!(bad == "7" || bad == "007" || HeadRef::parse("head", &format!("a@{bad}")).is_err(), "{bad}");
        }
        assert_eq!(HeadRef::parse("head", "a@7").unwrap().version(), Some(7));
    }

    #[test]
    fn a_caller_may_say_who_it_is_in_a_line() {
        assert!(check_caller("by", "").is_ok() && check_caller("by", "Zoë, CI run 7").is_ok());
        assert!(check_caller("by", "a\nb").is_err() && check_caller("by", &"x".repeat(129)).is_err());
    }
}
