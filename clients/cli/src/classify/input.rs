//! What is classified: images from where they are, or rows of pixels, read one after the other.

use std::{io::stdin, path::PathBuf};

use anyhow::Result;
use graft_client::proto::{Image, Split, image::Source};

use super::place::{self, Found, Place, STANDARD_INPUT};
use crate::import::{
    piece::{read_image, read_limited},
    rows::Rows,
};

/// An input.
#[derive(Debug)]
pub struct Input {
    /// What it is called: a path, a URI, `-`, or a file and line.
    pub name: String,
    /// What its file says that it is.
    pub label: Option<String>,
    /// The image, or why there is none.
    pub image: Result<Image, String>,
}

/// Inputs, one after the other.
pub type Inputs = Box<dyn Iterator<Item = Input> + Send>;

/// Where inputs come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Files, folders, globs, URIs and standard input.
    Named(Vec<PathBuf>),
    /// A file, or standard input, with one of these a line.
    Listed(PathBuf),
    /// Rows of pixels, so many at the most.
    Rows(PathBuf, usize),
}

impl Origin {
    /// The inputs.
    pub fn open(&self) -> Result<Inputs> {
        Ok(match self {
            Origin::Named(arguments) => Box::new(place::all(arguments.clone()).map(read)),
            Origin::Listed(list) => Box::new(place::listed(list)?.map(read)),
            Origin::Rows(path, limit) => rows(Rows::open(path, Split::Unspecified)?, *limit),
        })
    }

    /// How many there are, if that can be found out without reading them. It may take a while.
    pub fn count(&self) -> Option<u64> {
        match self {
            Origin::Named(arguments) => Some(place::all(arguments.clone()).count() as u64),
            // A pipe can be read once.
            Origin::Listed(list) if list.is_file() => Some(place::listed(list).ok()?.count() as u64),
            Origin::Listed(_) | Origin::Rows(..) => None,
        }
    }
}

fn read(found: Found) -> Input {
    let encoded = |bytes: Vec<u8>| Image { source: Some(Source::Encoded(bytes.into())) };
    let (name, image) = match found {
        Ok(Place::File(path)) => (path.display().to_string(), read_image(&path).map(encoded)),
        Ok(Place::Uri(uri)) => (uri.clone(), Ok(Image { source: Some(Source::Uri(uri)) })),
        Ok(Place::StandardInput) => (STANDARD_INPUT.to_owned(), read_limited(stdin().lock(), None).map(encoded)),
        Err(bad) => (bad.place, Err(bad.reason)),
    };
    Input { name, label: None, image }
}

fn rows(rows: Rows, limit: usize) -> Inputs {
    Box::new(rows.take(limit).map(|row| match row {
        Ok(row) => {
            Input { name: row.id, label: Some(row.label), image: row.image.ok_or_else(|| "no image".to_owned()) }
        }
        Err(bad) => Input { name: bad.place, label: None, image: Err(bad.reason) },
    }))
}
