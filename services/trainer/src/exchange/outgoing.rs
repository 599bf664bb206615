//! A head as a file that says all of itself.

use std::collections::HashMap;

use graft_proto::v1::Head;

use super::note;
use crate::fit::head::{self, HeadError};

/// The safetensors file of a head with `weights`: its tensors, and in the metadata what it is.
///
/// # Errors
/// Numbers that do not fit their shapes.
pub fn file(head: &Head, weights: &head::Head) -> Result<Vec<u8>, HeadError> {
    let labels = serde_json::Value::from(head.labels.clone()).to_string();
    let notes = [
        (note::GRAFT_VERSION, head.graft_version.clone()),
        (note::NAME, head.name.clone()),
        (note::VERSION, head.version.to_string()),
        (note::SPACE, head.space.clone()),
        (note::BACKBONE, head.backbone.clone()),
        (note::LABELS, labels),
    ];
    weights.to_safetensors(HashMap::from(notes.map(|(name, value)| (name.to_owned(), value))))
}
