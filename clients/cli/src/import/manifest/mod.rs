//! A manifest: a table (CSV, TSV) or JSON lines that name images, by path or URI, and their labels.
//!
//! # Layout
//! - [`table`] reads CSV and TSV, [`lines`] reads JSON lines; both give entries.
//! - Here an entry becomes an example: its file is read, or it is left to be fetched.

use std::path::{Path, PathBuf};

use graft_client::proto::{Example, Split};
use graft_pull::source::Source;

use super::piece::{Found, Piece, Rejected, encoded, read_image, split_of};

pub mod lines;
pub mod table;

/// Names that a column has in manifests, best first; those of people's own are told by flags.
const PATHS: [&str; 12] = [
    "path",
    "file",
    "file_name",
    "filename",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "img",
    "uri",
    "url",
    "id",
];
const LABELS: [&str; 8] = ["label", "labels", "class", "class_name", "category", "categories", "target", "tags"];
const SPLITS: [&str; 4] = ["split", "set", "subset", "partition"];

/// The columns that a person named.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The images' paths or URIs.
    pub path: Option<String>,
    /// Their labels.
    pub label: Option<String>,
    /// Their splits.
    pub split: Option<String>,
    /// Whether there are none of labels and splits, or none that matter: the images have no labels yet.
    pub unlabelled: bool,
}

/// Where the columns are; a manifest may have no splits, and of images without labels no labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub path: usize,
    pub label: Option<usize>,
    pub split: Option<usize>,
}

impl Columns {
    /// Where the columns are in a manifest without a heading.
    pub fn usual(&self) -> Places {
        Places { path: 0, label: (!self.unlabelled).then_some(1), split: None }
    }

    /// Find the columns among a manifest's headings, in any case. What is missing is named.
    pub fn find(&self, headings: &[String]) -> Result<Places, String> {
        let at = |name: &str| headings.iter().position(|heading| heading.trim().eq_ignore_ascii_case(name));
        let column = |told: &Option<String>, usual: &[&str], flag: &str| match told {
            Some(name) => at(name).ok_or_else(|| format!("{flag}: there is no column `{name}`; {}", list(headings))),
            None => usual.iter().find_map(|name| at(name)).ok_or_else(|| {
                format!("no column is called {}; {}, {flag} names it", usual.join(", "), list(headings))
            }),
        };
        let path = column(&self.path, &PATHS, "--path-column")?;
        if self.unlabelled {
            return Ok(Places { path, label: None, split: None });
        }
        let label = Some(column(&self.label, &LABELS, "--label-column")?);
        let split = match &self.split {
            Some(_) => Some(column(&self.split, &SPLITS, "--split-column")?),
            None => SPLITS.iter().find_map(|name| at(name)),
        };
        Ok(Places { path, label, split })
    }
}

fn list(headings: &[String]) -> String {
    let shown: Vec<String> = headings.iter().take(20).map(|name| name.chars().take(40).collect()).collect();
    format!("there are {}", shown.join(", "))
}

/// What a manifest says of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where in the manifest.
    pub place: String,
    /// Path or URI.
    pub path: String,
    /// One label, or a list of them.
    pub label: Label,
    /// The name of a split; empty for none.
    pub split: String,
}

/// The labels of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// As one text.
    One(String),
    /// As a list.
    Many(Vec<String>),
}

/// How entries become examples.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What relative paths are relative to.
    pub folder: PathBuf,
    /// The split of all; as the entries say if none is told.
    pub split: Option<Split>,
    /// For a multi-label dataset: what separates labels in one text.
    pub separator: Option<String>,
}

impl Rules {
    /// The example of an entry.
    pub fn apply(&self, entry: Entry) -> Found {
        let place = entry.place.clone();
        let reject = |reason: String| Rejected::new(place.clone(), reason);
        let split = match entry.split.trim() {
            "" => Split::Unspecified,
            name => split_of(name)
                .ok_or_else(|| reject(format!("`{name}` is no split; train, validation and test are accepted")))?,
        };
        let split = self.split.unwrap_or(split);
        let id = entry.path.trim().to_owned();
        if id.is_empty() {
            return Err(reject("no path".into()));
        }
        let (label, labels) = self.labels(entry.label).map_err(&reject)?;
        let finish = |bytes| Example { labels, ..encoded(id.clone(), label, split, bytes) };
        let source = if id.contains("://") {
            id.parse::<Source>().map_err(|error| reject(error.to_string()))?
        } else {
            Source::File(self.folder.join(&id))
        };
        match source {
            Source::File(path) => {
                let bytes = read_image(&path).map_err(|reason| reject(format!("{}: {reason}", path.display())))?;
                Ok(Piece::Here(finish(bytes)))
            }
            remote => Ok(Piece::There(Example { image: None, ..finish(Vec::new()) }, remote)),
        }
    }

    /// The one label, or the labels.
    fn labels(&self, label: Label) -> Result<(String, Vec<String>), String> {
        let tidy = |labels: Vec<String>| -> Vec<String> {
            labels.iter().map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
        };
        if self.split == Some(Split::Unlabelled) {
            return Ok((String::new(), Vec::new()));
        }
        match (label, &self.separator) {
            (Label::One(text), Some(separator)) => {
                let parts = if separator.is_empty() { vec![text] } else { split_text(&text, separator) };
                Ok((String::new(), tidy(parts)))
            }
            (Label::Many(labels), Some(_)) => Ok((String::new(), tidy(labels))),
            (Label::One(text), None) if text.trim().is_empty() => Err("no label".into()),
            (Label::One(text), None) => Ok((text.trim().to_owned(), Vec::new())),
            (Label::Many(labels), None) => match &tidy(labels)[..] {
                [] => Err("no label".into()),
                [one] => Ok((one.clone(), Vec::new())),
                many => Err(format!(
                    "{} labels; a dataset has one label an image unless it is made with --multi-label",
                    many.len()
                )),
            },
        }
    }
}

fn split_text(text: &str, separator: &str) -> Vec<String> {
    text.split(separator).map(str::to_owned).collect()
}

/// The folder that a manifest's paths are relative to.
pub fn folder_of(manifest: &Path) -> PathBuf {
    manifest.parent().unwrap_or(Path::new("")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(path: Option<&str>, headings: &[&str]) -> Result<Places, String> {
        let columns = Columns { path: path.map(str::to_owned), ..Columns::default() };
        columns.find(&headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn usual_columns_are_found_and_others_are_told() {
        assert_eq!(
            columns(None, &["ID", "Label", "File_Name", "Split"]),
            Ok(Places { path: 2, label: Some(1), split: Some(3) })
        );
        assert_eq!(columns(Some("where"), &["where", "class"]), Ok(Places { path: 0, label: Some(1), split: None }));
        let missing = columns(Some("there"), &["where", "class"]).unwrap_err();
        assert!(missing.contains("--path-column") && missing.contains("where, class"), "{missing}");
        let missing = columns(None, &["path", "what"]).unwrap_err();
        assert!(missing.contains("--label-column") && missing.contains("path, what"), "{missing}");
    }

    #[test]
    fn an_entry_becomes_an_example_or_says_why_not() {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("a.jpg"), "a").unwrap();
        let rules = |separator: Option<&str>| Rules {
            folder: folder.path().to_owned(),
            split: None,
            separator: separator.map(str::to_owned),
        };
        let entry = |path: &str, label: Label, split: &str| Entry {
            place: "m:2".into(),
            path: path.into(),
            label,
            split: split.into(),
        };
        let one = |text: &str| Label::One(text.to_owned());
        let many = |labels: &[&str]| Label::Many(labels.iter().map(|label| (*label).to_owned()).collect());
        let single = rules(None);
        let Ok(Piece::Here(found)) = single.apply(entry("a.jpg", one(" 7 "), "Val")) else { panic!() };
        assert_eq!((found.label.as_str(), found.split()), ("7", Split::Validation));
        let reason = |found: Found| found.unwrap_err().reason;
        assert_eq!(reason(single.apply(entry("a.jpg", one("  "), ""))), "no label");
        assert_eq!(reason(single.apply(entry(" ", one("x"), ""))), "no path");
        assert!(reason(single.apply(entry("b.jpg", one("x"), ""))).contains("b.jpg"));
        assert!(reason(single.apply(entry("a.jpg", one("x"), "holdout"))).contains("`holdout`"));
        assert!(reason(single.apply(entry("a.jpg", many(&["x", "y"]), ""))).contains("--multi-label"));
        assert!(reason(single.apply(entry("ftp://x/y", one("x"), ""))).contains("ftp"));
        let Ok(Piece::There(far, _)) = single.apply(entry("https://x.org/y.jpg", one("x"), "")) else { panic!() };
        assert!(far.image.is_none() && far.id == "https://x.org/y.jpg");
        let several = rules(Some(";"));
        for label in [one("x; y;;"), many(&["x", "y"])] {
            let Ok(Piece::Here(found)) = several.apply(entry("a.jpg", label, "")) else { panic!() };
            assert_eq!((found.label.as_str(), &found.labels[..]), ("", &["x".to_owned(), "y".to_owned()][..]));
        }
        let Ok(Piece::Here(none)) = several.apply(entry("a.jpg", one(""), "")) else { panic!() };
        assert!(none.labels.is_empty());
    }
}
