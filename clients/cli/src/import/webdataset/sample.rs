//! The members of one key, and the example that they make.

use std::{io::Read as _, path::Path};

use graft_client::proto::{Example, Split};
use serde_json::Value;
use tar::Entry;

use crate::import::{
    layout::is_picture,
    piece::{Read, Rejected, encoded, read_limited},
    text,
};

/// The largest label that is read, in bytes.
const MOST_LABEL: u64 = 1 << 16;
/// The keys of a label in `key.json`, best first.
const KEYS: [&str; 6] = ["label", "labels", "class", "cls", "category", "label_name"];

/// How an archive is read.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The archive.
    pub name: String,
    /// The key of the label in `key.json`.
    pub label: Option<String>,
    /// The split of all.
    pub split: Split,
    /// For a multi-label dataset: what separates labels in one text.
    pub separator: Option<String>,
}

/// What has been read of a key.
#[derive(Debug, Default)]
pub struct Sample {
    /// The path without the kind.
    pub key: String,
    image: Option<Vec<u8>>,
    /// The label with the rank of where it was: `cls` before `json` before `txt`.
    label: Option<(usize, Vec<String>)>,
    problem: Option<String>,
}

impl Sample {
    /// Of a key, with nothing read.
    pub fn of(key: String) -> Sample {
        Sample { key, ..Sample::default() }
    }
}

impl Rules {
    /// Read a member of a sample; those of other kinds are left out.
    pub fn add(&self, sample: &mut Sample, path: &Path, kind: &str, entry: &mut Entry<text::Bytes>) {
        let announced = entry.size();
        let read = if is_picture(path) {
            if sample.image.is_some() {
                return;
            }
            read_limited(entry, Some(announced)).map(|bytes| sample.image = Some(bytes))
        } else {
            let Some(rank) = ["cls", "json", "txt"].iter().position(|known| *known == kind) else { return };
            self.label(rank, entry).map(|labels| {
                let better = sample.label.as_ref().is_none_or(|(best, _)| rank < *best);
                // Other things than its label may be said of an image.
                if better && !labels.is_empty() {
                    sample.label = Some((rank, labels));
                }
            })
        };
        if let Err(reason) = read {
            sample.problem = Some(format!("{}: {reason}", path.display()));
        }
    }

    fn label(&self, rank: usize, entry: &mut Entry<text::Bytes>) -> Result<Vec<String>, String> {
        let mut bytes = Vec::new();
        entry.take(MOST_LABEL).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "no text".to_owned())?;
        let split = |text: &str| match &self.separator {
            Some(separator) if !separator.is_empty() => text.split(separator.as_str()).map(tidy).collect(),
            _ => vec![tidy(text)],
        };
        if rank != 1 {
            return Ok(split(&text).into_iter().filter(|label: &String| !label.is_empty()).collect());
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let found = match &self.label {
            Some(key) => value.get(key),
            None => KEYS.iter().find_map(|key| value.get(key)).or((!value.is_object()).then_some(&value)),
        };
        let labels = match found {
            Some(Value::Array(labels)) => labels.iter().map(scalar).collect::<Option<Vec<_>>>(),
            Some(Value::String(text)) => Some(split(text)),
            Some(one) => scalar(one).map(|label| vec![label]),
            None => Some(Vec::new()),
        };
        let tidied = labels.map(|labels| labels.into_iter().filter(|label| !label.is_empty()).collect());
        tidied.ok_or_else(|| "its label is neither a text nor a number, nor a list of them".to_owned())
    }

    /// What a sample came to; nothing if none of its members was an image or a label.
    pub fn finish(&self, sample: Sample) -> Option<Read> {
        let Sample { key, image, label, problem } = sample;
        if image.is_none() && label.is_none() && problem.is_none() {
            return None;
        }
        let reject = |reason: &str| Some(Err(Rejected::new(key.clone(), reason)));
        if let Some(problem) = problem {
            return reject(&problem);
        }
        let Some(image) = image else { return reject("no image beside the label") };
        let labels = label.map(|(_, labels)| labels).unwrap_or_default();
        if self.separator.is_some() || self.split == Split::Unlabelled {
            return Some(Ok(Example { labels, ..encoded(key, String::new(), self.split, image) }));
        }
        match &labels[..] {
            [] => reject("no label: key.cls, key.json or key.txt beside the image is expected"),
            [label] => Some(Ok(encoded(key.clone(), label.clone(), self.split, image))),
            many => reject(&format!(
                "{} labels; a dataset has one label an image unless it is made with --multi-label",
                many.len()
            )),
        }
    }
}

fn tidy(text: &str) -> String {
    text.trim().to_owned()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(tidy(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}
