//! A file that is imported: tensors, and what is noted beside them.

use std::collections::HashMap;

use graft_chassis::status;
use safetensors::SafeTensors;
use tonic::Status;

use super::{note, plain::Plain, said::check_labels};
use crate::{fit::head, names::HeadRef};

/// The longest header, in bytes: as many labels as there can be, each of the longest, fit twice.
const HEADER_BYTES: u64 = 2 << 20;

/// A file that was read.
#[derive(Debug)]
pub struct HeadFile {
    /// The tensors.
    pub weights: Weights,
    /// BLAKE3 of the file, in hexadecimal.
    pub hash: String,
    notes: HashMap<String, String>,
}

/// The tensors of a file.
#[derive(Debug)]
pub enum Weights {
    /// Those of a head of ours.
    Own(head::Head),
    /// Others.
    Plain(Plain),
}

impl HeadFile {
    /// Read a file.
    pub fn read(bytes: &[u8]) -> Result<HeadFile, Status> {
        let wrong = |error: String| status::invalid("data", format!("{error}; a safetensors file is accepted"));
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > HEADER_BYTES {
            return Err(wrong(format!("a header of {header} bytes, where at most {HEADER_BYTES} are expected")));
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| wrong(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(error.to_string()))?;
        let notes = metadata.metadata().clone().unwrap_or_default();
        let weights = if notes.contains_key(note::GRAFT_VERSION) {
            let head =
                head::Head::from_safetensors(bytes).map_err(|error| status::invalid("data", error.to_string()))?;
            if let Some(other) = file.names().into_iter().find(|name| !head.tensors().contains(name)) {
                let accepted = head.tensors().join("`, `");
                return Err(status::invalid(
                    "data",
                    format!("the tensor `{}` is not known; `{accepted}` are accepted", status::quoted(other)),
                ));
            }
            Weights::Own(head)
        } else {
            Weights::Plain(Plain::read(&file)?)
        };
        Ok(HeadFile { weights, hash: blake3::hash(bytes).to_hex().to_string(), notes })
    }

    /// The space that it says its head was fitted in; empty if it says none.
    pub fn space(&self) -> &str {
        self.noted(note::SPACE)
    }

    /// The backbone that it names; empty if it names none.
    pub fn backbone(&self) -> &str {
        self.noted(note::BACKBONE)
    }

    /// The labels that it names; none if it names none.
    pub fn labels(&self) -> Result<Vec<String>, Status> {
        let text = self.noted(note::LABELS);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let labels: Vec<String> = serde_json::from_str(text).map_err(|error| {
            status::invalid("data", format!("its metadata `labels`: {error}; a JSON list of text is accepted"))
        })?;
        check_labels("data", &labels)?;
        Ok(labels)
    }

    /// NAME@VERSION that it was exported as; empty if it does not say so.
    pub fn exported_as(&self) -> String {
        let text = format!("{}@{}", self.noted(note::NAME), self.noted(note::VERSION));
        HeadRef::parse("data", &text).map_or(String::new(), |head| head.to_string())
    }

    fn noted(&self, name: &str) -> &str {
        self.notes.get(name).map_or("", String::as_str)
    }
}
