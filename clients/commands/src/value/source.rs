//! `@FILE`, `-` for standard input, and bytes on the command line.

use std::io::{Read, stdin};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

/// What a flag of bytes takes, for its help.
pub const BYTES: &str = "@FILE, - for standard input, base64:…, text:…, or text";

/// Bytes: those of a file (`@FILE`) or of standard input (`-`), `base64:…`, or those of the text, which `text:` may stand
/// before.
///
/// # Errors
/// The file cannot be read, or it is no base64.
pub fn bytes(text: &str) -> Result<Bytes, String> {
    if let Some(read) = read(text)? {
        return Ok(read.into());
    }
    if let Some(encoded) = text.strip_prefix("base64:") {
        return BASE64_STANDARD.decode(encoded).map(Bytes::from).map_err(|error| format!("no base64: {error}"));
    }
    Ok(Bytes::copy_from_slice(text.strip_prefix("text:").unwrap_or(text).as_bytes()))
}

/// Text: that of a file (`@FILE`) or of standard input (`-`), or as it is.
///
/// # Errors
/// The file cannot be read, or it is no UTF-8.
pub fn text(text: &str) -> Result<String, String> {
    match read(text)? {
        Some(read) => String::from_utf8(read).map_err(|_| format!("{text}: it is no UTF-8")),
        None => Ok(text.to_owned()),
    }
}

fn read(text: &str) -> Result<Option<Vec<u8>>, String> {
    if text == "-" {
        let mut all = Vec::new();
        stdin().read_to_end(&mut all).map_err(|error| format!("standard input: {error}"))?;
        return Ok(Some(all));
    }
    let Some(path) = text.strip_prefix('@') else { return Ok(None) };
    std::fs::read(path).map(Some).map_err(|error| format!("{path}: {error}"))
}
