//! Whether a file is an ONNX file, and whole, without reading more than a few bytes of it.
//!
//! An ONNX file is one protobuf message, `ModelProto`: a row of fields, each with its length in front. Stepping from one
//! to the next ends exactly at the end of the file if it is whole. (What the graph holds is the extractor's to judge.)

use std::path::Path;

use crate::{
    error::PullError,
    fields::{Fields, Value},
};

/// `ModelProto.graph`, by its number in onnx.proto.
pub(crate) const GRAPH: u64 = 7;

/// Check the file at `path`, which came from `uri`.
pub fn check(path: &Path, uri: &str) -> Result<(), PullError> {
    walk(&mut Fields::open(path)?).map_err(|reason| PullError::NotOnnx { uri: uri.to_owned(), reason })
}

fn walk(fields: &mut Fields) -> Result<(), String> {
    if fields.length == 0 {
        return Err("not an ONNX file: it is empty".into());
    }
    let mut graph = false;
    while let Some(field) = fields.next(fields.length, name)? {
        graph |= matches!(field.value, Value::Bytes(size) if field.number == GRAPH && size > 0);
        fields.skip(field)?;
    }
    if graph { Ok(()) } else { Err("not an ONNX file: it holds no graph".into()) }
}

/// What a field of the model is called.
pub(crate) fn name(number: u64) -> &'static str {
    if number == GRAPH { "graph" } else { "field" }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn model() -> Vec<u8> {
        let path = "../extractor/backbones/efficientnet-lite0/model.onnx";
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    fn verdict(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        check(file.path(), "here").map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn a_whole_file_is_fine_and_half_of_it_is_not() {
        let model = model();
        assert_eq!(verdict(&model), "fine");
        for length in [model.len() / 2, model.len() - 1, 1000, 3] {
            let said = verdict(&model[..length]);
            assert!(said.contains("truncated") || said.contains("no graph"), "{length}: {said}");
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        for other in [&b"label,pixel1\n0,255\n"[..], b"<html><body>404</body></html>", b"PK\x03\x04zip", b"", &[0; 64]]
        {
            assert!(verdict(other).contains("not an ONNX file"), "{other:?}: {}", verdict(other));
        }
        assert!(verdict(&[0x08, 0x07]).contains("no graph"));
        assert!(verdict(&[0xff; 32]).contains("not an ONNX file"));
    }
}
