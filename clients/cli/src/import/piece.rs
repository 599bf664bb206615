//! What a reader finds: an example, or why a piece of the input is none.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use graft_client::proto::{Example, Image, Pixels, Split, image::Source};
use graft_pull::source;

/// The largest image that is read, in bytes: what the extractor takes.
pub const MOST_BYTES: u64 = 16 << 20;

/// An example with its image, or why a piece of the input is none.
pub type Read = Result<Example, Rejected>;

/// An example whose image may still have to be fetched, or why a piece of the input is none.
pub type Found = Result<Piece, Rejected>;

/// What reads the examples of an input, one after the other.
pub type Reader = Box<dyn Iterator<Item = Found> + Send>;

/// An example.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// With its image.
    Here(Example),
    /// Its image is to be fetched from there.
    There(Example, source::Source),
}

impl Piece {
    /// The same, as one that waits for a label.
    pub fn without_labels(self) -> Piece {
        let bare = |example| Example { label: String::new(), labels: Vec::new(), ..example };
        match self {
            Piece::Here(example) => Piece::Here(bare(example)),
            Piece::There(example, source) => Piece::There(bare(example), source),
        }
    }
}

/// A piece of the input that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it is: file, and line if it has lines.
    pub place: String,
    /// What was wrong.
    pub reason: String,
}

impl Rejected {
    /// What is wrong at `place`.
    pub fn new(place: impl Into<String>, reason: impl ToString) -> Rejected {
        Rejected { place: place.into(), reason: reason.to_string() }
    }
}

/// A reader of what is all at hand.
pub fn here(examples: impl Iterator<Item = Read> + Send + 'static) -> Reader {
    Box::new(examples.map(|read| read.map(Piece::Here)))
}

/// An example with one label and an encoded image.
pub fn encoded(id: String, label: String, split: Split, bytes: Vec<u8>) -> Example {
    let image = Some(Image { source: Some(Source::Encoded(bytes.into())) });
    Example { id, label, split: split as i32, image, ..Default::default() }
}

/// Raw pixels as an image.
pub fn pixels(height: usize, width: usize, channels: usize, data: Vec<u8>) -> Image {
    let [height, width, channels] = [height, width, channels].map(|n| n as u32);
    Image { source: Some(Source::Pixels(Pixels { height, width, channels, data: data.into() })) }
}

/// The split that a folder, a file or a column names, such as `train`, `val` or `Test`.
pub fn split_of(name: &str) -> Option<Split> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// The bytes of an image file.
pub fn read_image(path: &Path) -> Result<Vec<u8>, String> {
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a file".into());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    read_limited(file, Some(found.len()))
}

/// All that `from` holds, as long as it is no more than an image may have; `announced` bytes are told by its header.
pub fn read_limited(from: impl io::Read, announced: Option<u64>) -> Result<Vec<u8>, String> {
    let too_many = |bytes: u64| format!("{bytes} bytes; at most {MOST_BYTES} are accepted");
    if let Some(bytes) = announced.filter(|bytes| *bytes > MOST_BYTES) {
        return Err(too_many(bytes));
    }
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES { Err(format!("more than {MOST_BYTES} bytes")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        assert!(read_image(Path::new("/dev/zero")).unwrap_err().contains("not a file"));
        assert!(read_limited(io::repeat(7), None).unwrap_err().contains("more than"));
        assert!(read_limited(io::repeat(7), Some(MOST_BYTES + 1)).unwrap_err().contains("at most"));
        assert_eq!(read_limited(&b"abc"[..], Some(3)).unwrap(), b"abc");
    }
}
