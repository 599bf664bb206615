//! The files in which an ONNX file keeps weights, listed without reading a weight.
//!
//! An initializer whose data are elsewhere (`TensorProto.data_location` is `EXTERNAL`) says in `external_data` where. Such
//! names come from outside and become names of files here, so that only plain ones are taken.

use std::{collections::BTreeSet, path::Path};

use crate::{
    error::PullError,
    fields::{Field, Fields, Value},
    onnx::{GRAPH, name},
};

/// Files that one model may name.
pub const MAX_FILES: usize = 16;
/// Bytes of a file's name, by the habit of file systems.
pub const MAX_NAME: u64 = 255;
/// Ends of names that mean something else in a backbone's folder: its models, manifests and configurations.
const TAKEN: [&str; 3] = [".onnx", ".toml", ".json"];

// Numbers of fields in onnx.proto.
const INITIALIZER: u64 = 5;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;
const KEY: u64 = 1;
const VALUE: u64 = 2;
/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

/// The names of the files beside `path`, which came from `uri`, that its initializers are in; sorted, each once.
pub fn files(path: &Path, uri: &str) -> Result<BTreeSet<String>, PullError> {
    list(&mut Fields::open(path)?).map_err(|reason| PullError::NotOnnx { uri: uri.to_owned(), reason })
}

fn list(fields: &mut Fields) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    each(fields, fields.length, name, |fields, model| {
        let Some(end) = message(fields, model, GRAPH) else { return fields.skip(model) };
        each(fields, end, plain, |fields, part| {
            let Some(end) = message(fields, part, INITIALIZER) else { return fields.skip(part) };
            if let Some(name) = location(fields, end)? {
                check(&name)?;
                names.insert(name);
            }
            if names.len() > MAX_FILES {
                return Err(format!(
                    "it keeps weights in more than {MAX_FILES} files; onnx.save_model with all_tensors_to_one_file=True puts them into one"
                ));
            }
            Ok(())
        })
    })?;
    Ok(names)
}

/// The file that a tensor's data are in, if they are in another.
fn location(fields: &mut Fields, end: u64) -> Result<Option<String>, String> {
    let (mut outside, mut location) = (false, None);
    each(fields, end, plain, |fields, field| {
        if let (DATA_LOCATION, Value::Number(place)) = (field.number, field.value) {
            outside = place == EXTERNAL;
        }
        let Some(end) = message(fields, field, EXTERNAL_DATA) else { return fields.skip(field) };
        let (key, value) = entry(fields, end)?;
        // The first one counts, as for the extractor.
        if key == "location" && location.is_none() {
            location = Some(value);
        }
        Ok(())
    })?;
    Ok(outside.then(|| location.unwrap_or_default()))
}

/// A key and its value.
fn entry(fields: &mut Fields, end: u64) -> Result<(String, String), String> {
    let (mut key, mut value) = (String::new(), String::new());
    each(fields, end, plain, |fields, field| {
        match (field.number, field.value) {
            (KEY, Value::Bytes(bytes)) => key = fields.text(bytes, MAX_NAME + 1)?,
            (VALUE, Value::Bytes(bytes)) => value = fields.text(bytes, MAX_NAME + 1)?,
            _ => fields.skip(field)?,
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// Hand each field up to `end` to `take`, which reads or skips its content.
fn each(
    fields: &mut Fields,
    end: u64,
    name: impl Fn(u64) -> &'static str,
    mut take: impl FnMut(&mut Fields, Field) -> Result<(), String>,
) -> Result<(), String> {
    while let Some(field) = fields.next(end, &name)? {
        take(fields, field)?;
    }
    Ok(())
}

/// Where the message in `field` ends, if it is the one of this number.
fn message(fields: &Fields, field: Field, number: u64) -> Option<u64> {
    match field.value {
        Value::Bytes(bytes) if field.number == number => Some(fields.at + bytes),
        _ => None,
    }
}

fn plain(_: u64) -> &'static str {
    "field"
}

/// Only a plain name of a file beside the model is followed, on each system and in each kind of URI.
fn check(name: &str) -> Result<(), String> {
    let odd = |letter: char| letter.is_control() || "/\\:?#%\u{fffd}".contains(letter);
    let lower = name.to_lowercase();
    let reason = if name.len() as u64 > MAX_NAME {
        format!("a name has at most {MAX_NAME} bytes")
    } else if name.is_empty() || name.starts_with('.') || name.contains(odd) {
        "the plain name of a file beside the model is expected, without folders".to_owned()
    } else if TAKEN.iter().any(|end| lower.ends_with(end)) {
        format!("a name that ends in {} is not that of weights", TAKEN.join(", "))
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    Err(format!("it keeps weights in `{}`: {reason}", shown.escape_debug()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn field(number: u64, content: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A model with a tensor in each of the files; those that are not `outside` have forgotten it.
    fn model(names: &[&str], outside: u8) -> Vec<u8> {
        let tensor = |name: &&str| {
            let entry = |key: &str, value: &str| {
                field(EXTERNAL_DATA, &[field(KEY, key.as_bytes()), field(VALUE, value.as_bytes())].concat())
            };
            let raw = field(9, &[7; 9000]);
            let place = [varint(DATA_LOCATION << 3), vec![outside]].concat();
            field(INITIALIZER, &[raw, entry("offset", "0"), entry("location", name), place].concat())
        };
        let tensors: Vec<u8> = names.iter().flat_map(tensor).collect();
        [field(2, b"producer"), field(GRAPH, &[field(2, b"graph"), tensors].concat())].concat()
    }

    fn listed(bytes: &[u8]) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        files(file.path(), "here").map(|names| names.into_iter().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_file_is_listed_once() {
        assert_eq!(listed(&model(&["b.data", "model.onnx_data", "b.data"], 1)).unwrap(), ["b.data", "model.onnx_data"]);
        assert!(listed(&model(&["b.data"], 0)).unwrap().is_empty(), "the data are in the tensor itself");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "n".repeat(256);
        for name in ["../w", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "C:w", "a\\b", "w?x", "w%2f", "w\0", &long]
        {
            let refused = listed(&model(&[name], 1)).unwrap_err();
            assert!(refused.starts_with("here: it keeps weights in `"), "{name}: {refused}");
        }
        for name in ["backbone.toml", "config.JSON", "model.onnx"] {
            assert!(listed(&model(&[name], 1)).unwrap_err().contains("not that of weights"), "{name}");
        }
    }

    #[test]
    fn their_number_is_bounded() {
        let names: Vec<String> = (0..17).map(|number| format!("w{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(listed(&model(&names[..16], 1)).unwrap().len(), 16);
        assert!(listed(&model(&names, 1)).unwrap_err().contains("more than 16"));
    }

    #[test]
    fn a_field_that_reaches_out_of_its_message_is_no_reason_to_read_on() {
        let broken = field(GRAPH, &[varint(INITIALIZER << 3 | 2), varint(1 << 60)].concat());
        assert!(listed(&broken).unwrap_err().contains("reaches to byte"));
        let whole = model(&["w"], 1);
        assert!(listed(&whole[..whole.len() - 1]).unwrap_err().contains("truncated"));
    }
}
