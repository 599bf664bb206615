//! Rows of pixels: CSV or CSV.gz with a label and the pixels of a square grey image in each row, with or without a heading.

use std::path::Path;

use anyhow::Result;
use graft_client::proto::{Example, Split};

use super::{
    piece::{Read, Rejected, pixels},
    text,
};

/// The longest line, in bytes: 1024 x 1024 pixels of four characters. A longer one is no row of pixels.
const MOST_SIDE: usize = 1024;

/// The rows of a file, one after the other.
pub struct Rows {
    name: String,
    records: csv::StringRecordsIntoIter<text::Bytes>,
    split: Split,
    /// Pixels of each row: those of the first one.
    side: Option<usize>,
    broken: bool,
}

impl Rows {
    /// Open a file.
    pub fn open(path: &Path, split: Split) -> Result<Rows> {
        Ok(Rows::read(text::name(path), text::open(path)?, split))
    }

    fn read(name: String, text: text::Bytes, split: Split) -> Rows {
        let records = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text).into_records();
        Rows { name, records, split, side: None, broken: false }
    }

    fn row(&mut self, record: &csv::StringRecord, place: &str) -> Read {
        let reject = |reason: String| Err(Rejected::new(place, reason));
        let count = record.len().saturating_sub(1);
        let side = match self.side {
            Some(side) => side,
            None => count.isqrt(),
        };
        if side == 0 || side > MOST_SIDE || side * side != count {
            let expected = match self.side {
                Some(side) => format!("{} are expected, as in the rows before", side * side),
                None => "a square number of them is expected, such as 784 = 28 * 28".to_owned(),
            };
            return reject(format!("{count} pixels; {expected}"));
        }
        let mut data = Vec::with_capacity(count);
        for (column, field) in record.iter().enumerate().skip(1) {
            match field.trim().parse::<u8>() {
                Ok(pixel) => data.push(pixel),
                Err(_) => {
                    let shown: String = field.chars().take(20).collect();
                    return reject(format!("column {}: `{shown}` is no pixel; 0 to 255 is accepted", column + 1));
                }
            }
        }
        self.side = Some(side);
        Ok(Example {
            id: place.to_owned(),
            label: record[0].trim().to_owned(),
            split: self.split as i32,
            image: Some(pixels(side, side, 1, data)),
            ..Default::default()
        })
    }
}

impl Iterator for Rows {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        if self.broken {
            return None;
        }
        loop {
            let record = self.records.next()?;
            let line = |record: &csv::StringRecord| record.position().map_or(0, csv::Position::line);
            match record {
                // The heading, known by its second column.
                Ok(record) if line(&record) == 1 && record.get(1).is_some_and(|name| name.starts_with("pixel")) => {}
                Ok(record) => {
                    let place = format!("{}:{}", self.name, line(&record));
                    return Some(self.row(&record, &place));
                }
                Err(error) => {
                    // After what cannot be read, or is no text, there is no telling where the next row begins.
                    self.broken = !matches!(error.kind(), csv::ErrorKind::Utf8 { .. });
                    return Some(Err(Rejected::new(self.name.clone(), error)));
                }
            }
        }
    }
}

/// Whether a file's first line is one of these rows, or their heading, and not that of a table of paths: a label, and then
/// at least 2 × 2 pixels.
pub fn begin(first: &csv::StringRecord) -> bool {
    let heading = first.get(1).is_some_and(|name| name.starts_with("pixel"));
    let numbers = first.iter().skip(1).filter(|field| field.trim().parse::<i64>().is_ok()).count();
    heading || (numbers >= 4 && numbers * 2 >= first.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Read> {
        let text: text::Bytes = Box::new(std::io::Cursor::new(text.to_owned()));
        Rows::read("rows.csv".into(), text, Split::Train).collect()
    }

    fn reason(read: &Read) -> &str {
        &read.as_ref().unwrap_err().reason
    }

    #[test]
    fn a_bad_row_is_named_and_the_rest_goes_on() {
        let found =
            read("label,pixel1,pixel2,pixel3,pixel4\n9,0,1,2,255\n8,0,1,2\n7,0,1,2,256\n6,0,abc,2,3\n5,4,3,2,1\n");
        assert_eq!(found.len(), 5);
        let first = found[0].as_ref().unwrap();
        assert_eq!((first.id.as_str(), first.label.as_str()), ("rows.csv:2", "9"));
        assert_eq!(found[1].as_ref().unwrap_err().place, "rows.csv:3");
        assert!(reason(&found[1]).contains("3 pixels; 4 are expected"), "{}", reason(&found[1]));
        assert!(reason(&found[2]).contains("column 5: `256`"), "{}", reason(&found[2]));
        assert!(reason(&found[3]).contains("column 3: `abc`"), "{}", reason(&found[3]));
        assert_eq!(found[4].as_ref().unwrap().id, "rows.csv:6");
    }

    #[test]
    fn without_a_heading_the_first_line_is_a_row() {
        let found = read("9,0,1,2,3\n");
        assert_eq!(found[0].as_ref().unwrap().label, "9");
        let row: Vec<String> = (0..783).map(|p| (p % 256).to_string()).collect();
        assert!(reason(&read(&format!("9,{}\n", row.join(",")))[0]).contains("783 pixels"));
    }
}
