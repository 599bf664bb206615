//! Whether a file is an ONNX file, and whole, without reading more than a few bytes of it.
//!
//! An ONNX file is one protobuf message, `ModelProto`: a row of fields, each with its length in front. Stepping from one
//! to the next ends exactly at the end of the file if it is whole. (What the graph holds is the extractor's to judge.)

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use crate::error::PullError;

/// `ModelProto.graph`, by its number in onnx.proto.
const GRAPH: u64 = 7;

/// Check the file at `path`, which came from `uri`.
pub fn check(path: &Path, uri: &str) -> Result<(), PullError> {
    let file = File::open(path).map_err(PullError::file(path))?;
    let length = file.metadata().map_err(PullError::file(path))?.len();
    let mut fields = Fields { file: BufReader::with_capacity(64, file), at: 0, length };
    fields.walk().map_err(|reason| PullError::NotOnnx { uri: uri.to_owned(), reason })
}

struct Fields {
    file: BufReader<File>,
    /// The next byte.
    at: u64,
    /// Bytes in the file.
    length: u64,
}

impl Fields {
    fn walk(&mut self) -> Result<(), String> {
        if self.length == 0 {
            return Err("not an ONNX file: it is empty".into());
        }
        let mut graph = false;
        while self.at < self.length {
            let begun = self.at;
            let tag = self.varint()?;
            let (number, kind) = (tag >> 3, tag & 7);
            let (size, name) = match kind {
                0 => {
                    self.varint()?;
                    continue;
                }
                1 => (8, "number"),
                2 => (self.varint()?, if number == GRAPH { "graph" } else { "field" }),
                5 => (4, "number"),
                _ => return Err(format!("not an ONNX file: no field begins at byte {begun}")),
            };
            if number == 0 {
                return Err(format!("not an ONNX file: no field begins at byte {begun}"));
            }
            if size > self.length - self.at {
                let (end, length) = (self.at.saturating_add(size), self.length);
                return Err(format!(
                    "not an ONNX file, or a truncated one: the {name} at byte {begun} reaches to byte {end}, the file has {length}"
                ));
            }
            self.skip(size)?;
            graph |= kind == 2 && number == GRAPH && size > 0;
        }
        if graph { Ok(()) } else { Err("not an ONNX file: it holds no graph".into()) }
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(|_| "not an ONNX file, or a truncated one".to_owned())?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(format!("not an ONNX file: a number without an end before byte {}", self.at))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        self.at += bytes;
        self.file.seek(SeekFrom::Start(self.at)).map(drop).map_err(|error| error.to_string())
    }
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
