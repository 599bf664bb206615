//! A manifest as JSON lines: an object an image.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::Result;
use serde_json::{Map, Value};

use super::{Columns, Entry, Label, Rules, folder_of};
use crate::import::{
    piece::{Found, Rejected},
    text,
};

/// The longest line, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The lines of a file, one after the other.
pub struct Lines {
    name: String,
    text: BufReader<text::Bytes>,
    number: u64,
    columns: Columns,
    rules: Rules,
    broken: bool,
}

impl Lines {
    /// Open a file of JSON lines.
    pub fn open(path: &Path, columns: &Columns, mut rules: Rules) -> Result<Lines> {
        rules.folder = folder_of(path);
        let text = BufReader::new(text::open(path)?);
        Ok(Lines { name: text::name(path), text, number: 0, columns: columns.clone(), rules, broken: false })
    }

    /// The next line without its end; `None` after the last.
    fn line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        let read =
            self.text.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read as u64 == MOST_BYTES && line.last() != Some(&b'\n') {
            return Err(format!("the line is longer than {MOST_BYTES} bytes"));
        }
        self.number += 1;
        Ok((read > 0).then_some(line))
    }

    fn entry(&self, place: String, line: &[u8]) -> Found {
        let reject = |reason: String| Rejected::new(place.clone(), reason);
        let object: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| reject(format!("no JSON object: {error}")))?;
        let names: Vec<String> = object.keys().cloned().collect();
        let places = self.columns.find(&names).map_err(&reject)?;
        let value = |column: usize| object.get(&names[column]).unwrap_or(&Value::Null);
        let path = scalar(value(places.path)).ok_or_else(|| reject(format!("`{}` is no path", names[places.path])))?;
        let label = match places.label.map(value) {
            None => Some(Label::Many(Vec::new())),
            Some(Value::Array(labels)) => labels.iter().map(scalar).collect::<Option<Vec<String>>>().map(Label::Many),
            Some(one) => scalar(one).map(Label::One),
        };
        let label = label.ok_or_else(|| {
            let name = places.label.map_or("", |column| &names[column]);
            reject(format!("`{name}` holds no label; a text, a number or a list of them is accepted"))
        })?;
        let split = places.split.and_then(|column| scalar(value(column))).unwrap_or_default();
        self.rules.apply(Entry { place, path, label, split })
    }
}

/// A value as text; nothing that is missing has one.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

impl Iterator for Lines {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while !self.broken {
            let line = match self.line() {
                Ok(line) => line?,
                Err(reason) => {
                    self.broken = true;
                    return Some(Err(Rejected::new(format!("{}:{}", self.name, self.number + 1), reason)));
                }
            };
            if !line.trim_ascii().is_empty() {
                return Some(self.entry(format!("{}:{}", self.name, self.number), &line));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::import::piece::Piece;

    fn read(lines: &[u8], separator: Option<&str>) -> Vec<Found> {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("a.jpg"), "a").unwrap();
        let path = folder.path().join("m.jsonl");
        fs::write(&path, lines).unwrap();
        let rules = Rules { folder: "nowhere".into(), split: None, separator: separator.map(str::to_owned) };
        Lines::open(&path, &Columns::default(), rules).unwrap().collect()
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let lines = b"{\"file_name\": \"a.jpg\", \"label\": 3}\n\nnot json\n{\"file_name\": \"a.jpg\"}\n[1]\n\
            {\"file_name\": \"a.jpg\", \"label\": {}}\n{\"file_name\": \"a.jpg\", \"label\": null}\n\xff\xfe\n\
            {\"file_name\": \"a.jpg\", \"label\": true, \"split\": \"test\"}";
        let found = read(lines, None);
        let reasons: Vec<String> = found
            .iter()
            .map(|f| f.as_ref().err().map_or(String::new(), |b| format!("{} {}", b.place, b.reason)))
            .collect();
        assert_eq!(found.len(), 8, "{reasons:?}");
        let Ok(Piece::Here(first)) = &found[0] else { panic!("{reasons:?}") };
        assert_eq!(first.label, "3");
        for (index, words) in [
            (1, "m.jsonl:3 no JSON"),
            (2, "--label-column"),
            (3, "no JSON object"),
            (4, "holds no label"),
            (5, "no label"),
            (6, "no JSON"),
        ] {
            assert!(reasons[index].contains(words), "{index}: {}", reasons[index]);
        }
        let Ok(Piece::Here(last)) = &found[7] else { panic!("{reasons:?}") };
        assert_eq!((last.label.as_str(), last.split), ("true", 3));
    }

    #[test]
    fn lists_are_labels_of_a_multi_label_dataset() {
        let found =
            read(b"{\"path\": \"a.jpg\", \"labels\": [\"x\", 2]}\n{\"path\": \"a.jpg\", \"labels\": []}\n", Some(";"));
        let labels = |found: &Found| match found {
            Ok(Piece::Here(example)) => example.labels.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((labels(&found[0]), labels(&found[1])), (vec!["x".to_owned(), "2".to_owned()], vec![]));
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let found = read(&vec![b'x'; 3 << 20], None);
        assert!(found.len() == 1 && found[0].as_ref().unwrap_err().reason.contains("longer"));
    }
}
