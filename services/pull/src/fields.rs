//! Steps through the fields of a protobuf message in a file, without reading the values that nobody asks for.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use crate::error::PullError;

/// Bytes read at once: those of many small fields, and few of a large one.
const BUFFER: usize = 4096;

/// A file, and how far it was read.
pub struct Fields {
    file: BufReader<File>,
    /// The next byte.
    pub at: u64,
    /// Bytes in the file.
    pub length: u64,
}

/// A field. Its content, if it has one, is what comes next in the file.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its number in the message's definition.
    pub number: u64,
    /// What it holds.
    pub value: Value,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A number, which was read.
    Number(u64),
    /// A number of so many bytes, which was not.
    Fixed(u64),
    /// A text, bytes or a message of so many bytes, which were not.
    Bytes(u64),
}

impl Fields {
    /// The file at `path`, from its first byte.
    pub fn open(path: &Path) -> Result<Fields, PullError> {
        let file = File::open(path).map_err(PullError::file(path))?;
        let length = file.metadata().map_err(PullError::file(path))?.len();
        Ok(Fields { file: BufReader::with_capacity(BUFFER, file), at: 0, length })
    }

    /// The next field of the message that ends before the byte `end`; nothing at its end. The content of the one before
    /// must have been read or skipped. `name` is what a field of a number is called in a message to people.
    pub fn next(&mut self, end: u64, name: impl Fn(u64) -> &'static str) -> Result<Option<Field>, String> {
        if self.at >= end {
            return Ok(None);
        }
        let begun = self.at;
        let tag = self.varint()?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 if number > 0 => Value::Number(self.varint()?),
            1 if number > 0 => Value::Fixed(8),
            2 if number > 0 => Value::Bytes(self.varint()?),
            5 if number > 0 => Value::Fixed(4),
            _ => return Err(format!("not an ONNX file: no field begins at byte {begun}")),
        };
        let size = value.size();
        if self.at > end || size > end - self.at {
            let (reaches, name) = (self.at.saturating_add(size), name(number));
            let room = if end == self.length { "the file has" } else { "what it is in ends at" };
            return Err(format!(
                "not an ONNX file, or a truncated one: the {name} at byte {begun} reaches to byte {reaches}, {room} {end}"
            ));
        }
        Ok(Some(Field { number, value }))
    }

    /// Pass over a field's content.
    pub fn skip(&mut self, field: Field) -> Result<(), String> {
        let bytes = field.value.size();
        // What is in the buffer is not read again.
        let step = i64::try_from(bytes).map_err(|error| error.to_string())?;
        self.file.seek_relative(step).map_err(|error| error.to_string())?;
        self.at += bytes;
        Ok(())
    }

    /// Read a text of at most `most` bytes; of a longer one, its beginning. Bytes that are no UTF-8 are replaced.
    pub fn text(&mut self, bytes: u64, most: u64) -> Result<String, String> {
        let mut read = vec![0; usize::try_from(bytes.min(most)).map_err(|error| error.to_string())?];
        self.file.read_exact(&mut read).map_err(|error| error.to_string())?;
        let rest = i64::try_from(bytes.saturating_sub(most)).map_err(|error| error.to_string())?;
        self.file.seek_relative(rest).map_err(|error| error.to_string())?;
        self.at += bytes;
        Ok(String::from_utf8_lossy(&read).into_owned())
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
}

impl Value {
    /// Bytes that it takes after what was read of it.
    pub fn size(self) -> u64 {
        match self {
            Value::Number(_) => 0,
            Value::Fixed(bytes) | Value::Bytes(bytes) => bytes,
        }
    }
}
