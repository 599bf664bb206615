//! The files of other projects that say how a network's images are preprocessed, turned into the one [`Preprocessing`].
//!
//! # Layout
//! - [`hugging_face`]: `preprocessor_config.json` of the `transformers` library.
//! - [`timm`]: `config.json` of the `timm` library.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::options::Options;
use crate::preprocessing::{BadOption, Preprocessing};

pub mod hugging_face;
pub mod timm;

/// The name of a Hugging Face file.
pub const HUGGING_FACE: &str = "preprocessor_config.json";
/// The name of a timm file.
pub const TIMM: &str = "config.json";
/// The largest such file, in bytes; they have about 500.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file does not say how images are preprocessed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a key of the wrong type.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// A value that cannot be, or that this extractor cannot do.
    #[error("{0}")]
    Option(#[from] BadOption),
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is too large.
    #[error("{0} bytes; at most {MAX_BYTES} are accepted")]
    TooLarge(u64),
    /// There is no such file.
    #[error(
        "the manifest has no [preprocessing] table, and there is no {HUGGING_FACE} or {TIMM} beside it; one of them is expected"
    )]
    Missing,
}

impl Preprocessing {
    /// What a `preprocessor_config.json` of Hugging Face says.
    pub fn from_hugging_face(text: &str) -> Result<Preprocessing, ConfigError> {
        hugging_face::read(text)
    }

    /// What a `config.json` of timm says.
    pub fn from_timm(text: &str) -> Result<Preprocessing, ConfigError> {
        timm::read(text)
    }
}

/// What the manifest at `manifest` says in its `options`, or a file beside it: the one that they name, or the first that is
/// there. An error comes with the path of the file to blame.
pub fn preprocessing(manifest: &Path, options: Option<&Options>) -> Result<Preprocessing, (PathBuf, ConfigError)> {
    let folder = manifest.parent().unwrap_or(manifest);
    let name = match options {
        Some(Options::Table(table)) => {
            return table.preprocessing().map_err(|error| (manifest.to_owned(), ConfigError::Option(error)));
        }
        Some(Options::File(name)) => Some(name.as_str()),
        None => [HUGGING_FACE, TIMM].into_iter().find(|name| folder.join(name).is_file()),
    };
    let path = folder.join(name.ok_or_else(|| (manifest.to_owned(), ConfigError::Missing))?);
    read_file(&path).map_err(|error| (path, error))
}

fn read_file(path: &Path) -> Result<Preprocessing, ConfigError> {
    let bytes = fs::metadata(path)?.len();
    if bytes > MAX_BYTES {
        return Err(ConfigError::TooLarge(bytes));
    }
    let text = fs::read_to_string(path)?;
    // A file of timm is known by its keys, whatever it is called.
    if timm::is_one(&text) { Preprocessing::from_timm(&text) } else { Preprocessing::from_hugging_face(&text) }
}

/// A [`BadOption`].
fn bad(key: &'static str, found: impl ToString, accepted: &str) -> ConfigError {
    BadOption { key, found: found.to_string(), accepted: accepted.to_owned() }.into()
}
