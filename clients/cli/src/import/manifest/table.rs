//! A manifest as CSV or TSV: a heading, and a line an image.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Columns, Entry, Label, Places, Rules, folder_of};
use crate::import::{
    piece::{Found, Rejected},
    text,
};

/// The lines of a table, one after the other.
pub struct Table {
    name: String,
    records: csv::StringRecordsIntoIter<text::Bytes>,
    places: Places,
    /// The first line, where it was no heading.
    first: Option<csv::StringRecord>,
    rules: Rules,
    broken: bool,
}

impl Table {
    /// Open a table whose columns are separated by `delimiter`. Without a heading, the first column holds the paths and the
    /// second the labels; that there is none is known by a path in the first line that leads to a file.
    pub fn open(path: &Path, delimiter: u8, columns: &Columns, mut rules: Rules) -> Result<Table> {
        rules.folder = folder_of(path);
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text::open(path)?)
            .into_records();
        let name = text::name(path);
        let table = |places, first, records| Table {
            name: name.clone(),
            records,
            places,
            first,
            rules: rules.clone(),
            broken: false,
        };
        let heading = match records.next() {
            None => return Ok(table(columns.usual(), None, records)),
            Some(heading) => heading?,
        };
        // Excel begins its files with a byte order mark.
        let names: Vec<String> = heading.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        match columns.find(&names) {
            Ok(places) => Ok(table(places, None, records)),
            Err(_) if (names.len() >= 2 || columns.unlabelled) && rules.folder.join(names[0].trim()).is_file() => {
                Ok(table(columns.usual(), Some(heading), records))
            }
            Err(reason) => bail!("{}: {reason}", path.display()),
        }
    }

    fn entry(&self, record: &csv::StringRecord) -> Found {
        let place = format!("{}:{}", self.name, record.position().map_or(0, csv::Position::line));
        let cell = |column: usize| record.get(column).map(str::to_owned);
        let short = || Rejected::new(place.clone(), format!("{} columns; the heading has more", record.len()));
        let path = cell(self.places.path).ok_or_else(short)?;
        let label = match self.places.label {
            Some(column) => cell(column).ok_or_else(short)?,
            None => String::new(),
        };
        let label = Label::One(label);
        let split = self.places.split.and_then(cell).unwrap_or_default();
        self.rules.apply(Entry { place, path, label, split })
    }
}

impl Iterator for Table {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if self.broken {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(self.entry(&first));
        }
        match self.records.next()? {
            Ok(record) => Some(self.entry(&record)),
            Err(error) => {
                // After what cannot be read there is no telling where the next line begins.
                self.broken = !matches!(error.kind(), csv::ErrorKind::Utf8 { .. });
                Some(Err(Rejected::new(self.name.clone(), error)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::import::piece::Piece;

    fn read(files: &[&str], manifest: &[u8], delimiter: u8) -> Result<Vec<Found>> {
        let folder = tempfile::TempDir::new()?;
        for file in files {
            fs::write(folder.path().join(file), file)?;
        }
        let path = folder.path().join("m.csv");
        fs::write(&path, manifest)?;
        let rules = Rules { folder: "nowhere".into(), split: None, separator: None };
        Ok(Table::open(&path, delimiter, &Columns::default(), rules)?.collect())
    }

    fn told(found: &Found) -> String {
        match found {
            Ok(Piece::Here(example)) => format!("{}={}", example.id, example.label),
            Ok(Piece::There(example, source)) => format!("{}={} at {source}", example.id, example.label),
            Err(bad) => format!("{}: {}", bad.place, bad.reason),
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let lines =
            b"\xef\xbb\xbfpath,label\na.jpg,cat\nlost.jpg,cat\n\"b, 2.jpg\",7\nx\n\xff,cat\nb.jpg,\na.jpg,dog\n";
        let found: Vec<String> = read(&["a.jpg", "b, 2.jpg", "b.jpg"], lines, b',').unwrap().iter().map(told).collect();
        assert_eq!(found.len(), 7, "{found:?}");
        assert_eq!((found[0].as_str(), found[2].as_str(), found[6].as_str()), ("a.jpg=cat", "b, 2.jpg=7", "a.jpg=dog"));
        assert!(found[1].starts_with("m.csv:3: ") && found[1].contains("lost.jpg"), "{}", found[1]);
        assert!(found[3].contains("m.csv:5: 1 columns"), "{}", found[3]);
        assert!(found[4].contains("UTF-8"), "{}", found[4]);
        assert_eq!(found[5], "m.csv:7: no label");
    }

    #[test]
    fn tabs_and_tables_without_a_heading_are_read_too() {
        let found = read(&["a.jpg"], b"file\tclass\na.jpg\tcat\n", b'\t').unwrap();
        assert_eq!(told(&found[0]), "a.jpg=cat");
        let found = read(&["a.jpg"], b"a.jpg,cat\na.jpg,dog\n", b',').unwrap();
        assert_eq!(found.iter().map(told).collect::<Vec<_>>(), ["a.jpg=cat", "a.jpg=dog"]);
        assert!(read(&[], b"one,two\n1,2\n", b',').unwrap_err().to_string().contains("--path-column"));
        assert!(read(&[], b"", b',').unwrap().is_empty());
    }
}
