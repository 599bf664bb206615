//! The files of other projects that say how a network's images are preprocessed, turned into the one [`Preprocessing`].
//!
//! # Layout
//! - [`hugging_face`]: `preprocessor_config.json` of the `transformers` library.
//! - [`timm`]: `config.json` of the `timm` library.

use super::options::Options;
use crate::preprocessing::{BadOption, Preprocessing};

pub mod hugging_face;
pub mod timm;

/// The name of a Hugging Face file.
pub const HUGGING_FACE: &str = "preprocessor_config.json";
/// The name of a timm file.
pub const TIMM: &str = "config.json";
/// The largest such file, in bytes; they have about 500.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a file does not say how images are preprocessed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a key of the wrong type.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// A value that cannot be, or that this extractor cannot do.
    #[error("{0}")]
    Option(#[from] BadOption),
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

/// Where a manifest tells how images are preprocessed.
#[derive(Clone, Debug, PartialEq)]
pub enum Told<'a> {
    /// In its own table.
    Here(Preprocessing),
    /// In the file of this name, beside it.
    Beside(&'a str),
}

/// Where a manifest with these `options` tells it, in a folder that `has` files: in its table, in the file that it names, or in
/// the first known one that is there.
///
/// # Errors
/// What is wrong with the table; [`ConfigError::Missing`].
pub fn told<'a>(options: Option<&'a Options>, has: impl Fn(&str) -> bool) -> Result<Told<'a>, ConfigError> {
    match options {
        Some(Options::Table(table)) => Ok(Told::Here(table.preprocessing()?)),
        Some(Options::File(name)) => Ok(Told::Beside(name)),
        None => {
            let there = [HUGGING_FACE, TIMM].into_iter().find(|name| has(name));
            there.map(Told::Beside).ok_or(ConfigError::Missing)
        }
    }
}

/// What such a file says. One of timm is known by its keys, whatever it is called.
pub fn read(text: &str) -> Result<Preprocessing, ConfigError> {
    if timm::is_one(text) { Preprocessing::from_timm(text) } else { Preprocessing::from_hugging_face(text) }
}

/// A [`BadOption`].
fn bad(key: &'static str, found: impl ToString, accepted: &str) -> ConfigError {
    BadOption { key, found: found.to_string(), accepted: accepted.to_owned() }.into()
}
