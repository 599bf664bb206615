//! Rows of Fashion-MNIST from the sample that the repository ships, and from the reference.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::read::GzDecoder;
use graft_proto::v1::{Image, Pixels, image};

use crate::services::root;

/// One row: a label and 28 × 28 grey pixels.
#[derive(Clone, Debug)]
pub struct Row {
    /// The class, `0` to `9`.
    pub label: String,
    /// 784 bytes, row by row.
    pub pixels: Bytes,
}

impl Row {
    /// The row as an image of the wire.
    pub fn image(&self) -> Image {
        pixels(28, 28, 1, self.pixels.clone())
    }
}

/// An image of raw pixels, whether its shape is true or not.
pub fn pixels(height: u32, width: u32, channels: u32, data: impl Into<Bytes>) -> Image {
    Image { source: Some(image::Source::Pixels(Pixels { height, width, channels, data: data.into() })) }
}

/// Rows as the command reads them.
pub fn csv(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let pixels: Vec<String> = row.pixels.iter().map(u8::to_string).collect();
        format!("{},{}\n", row.label, pixels.join(","))
    };
    rows.iter().map(line).collect()
}

/// The 2,000 rows to train on.
pub fn train() -> Result<Vec<Row>> {
    read(&root().join("data/fashion-mnist/train-2000.csv.gz"))
}

/// The 1,000 rows to test on.
pub fn test() -> Result<Vec<Row>> {
    read(&root().join("data/fashion-mnist/test-1000.csv.gz"))
}

/// The eight rows of the reference.
pub fn reference() -> Result<Vec<Row>> {
    read(&root().join("tests/data/reference/fashion8.csv"))
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let text: Box<dyn Read> =
        if path.extension().is_some_and(|end| end == "gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    let mut rows = Vec::new();
    for record in lines.records() {
        let record = record?;
        let Some(label) = record.get(0).filter(|label| *label != "label") else { continue };
        let pixels = record.iter().skip(1).map(str::parse).collect::<Result<Vec<u8>, _>>()?;
        rows.push(Row { label: label.to_owned(), pixels: pixels.into() });
    }
    Ok(rows)
}
