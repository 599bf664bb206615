//! Weights that an ONNX file keeps in files beside it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;

use super::{DetachError, MAX_WEIGHT_BYTES};
use crate::backbone::onnx::{GraphProto, TensorProto, tensor_proto::DataLocation};

/// Read every initializer that is in another file of `folder` into the graph. Gives the hash of each file, by name.
pub(super) fn inline(
    graph: &mut GraphProto,
    folder: Option<&Path>,
) -> Result<BTreeMap<String, blake3::Hash>, DetachError> {
    let mut hashes = BTreeMap::new();
    let mut total = 0_u64;
    let outside = |tensor: &&mut TensorProto| tensor.data_location() == DataLocation::External;
    for tensor in graph.initializer.iter_mut().filter(outside) {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key).map(|entry| entry.value());
        let file = entry("location").unwrap_or_default().to_owned();
        let number = |key: &str| entry(key).map(str::parse::<u64>).transpose();
        let refused =
            |reason: String| DetachError::External { tensor: tensor.name().to_owned(), file: file.clone(), reason };
        let offset = number("offset").map_err(|_| refused("its offset is no number".into()))?.unwrap_or(0);
        let length = number("length").map_err(|_| refused("its length is no number".into()))?;
        let path = inside(folder, &file).map_err(|reason| refused(reason.into()))?;
        let room = MAX_WEIGHT_BYTES.saturating_sub(total);
        let data = read(&path, offset, length, room).map_err(|error| refused(error.to_string()))?;
        total = total.saturating_add(data.len() as u64);
        if !hashes.contains_key(&file) {
            hashes.insert(file.clone(), hash(&path).map_err(|error| refused(error.to_string()))?);
        }
        tensor.raw_data = Some(Bytes::from(data));
        tensor.data_location = None;
        tensor.external_data.clear();
    }
    Ok(hashes)
}

/// The path of `file` inside `folder`.
fn inside(folder: Option<&Path>, file: &str) -> Result<PathBuf, &'static str> {
    let folder = folder.ok_or("the model stands alone, without a folder to look in")?;
    let relative = Path::new(file);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if file.is_empty() || !plain {
        return Err("the name of a file in the model's folder is expected");
    }
    Ok(folder.join(relative))
}

fn read(path: &Path, offset: u64, length: Option<u64>, room: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let there = file.metadata()?.len().saturating_sub(offset);
    let length = length.unwrap_or(there);
    if length > there {
        return Err(io::Error::other(format!("{length} bytes from {offset} are needed, and {there} are there")));
    }
    if length > room {
        return Err(io::Error::other(format!("at most {MAX_WEIGHT_BYTES} bytes of weights are accepted")));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(length).read_to_end(&mut data)?;
    Ok(data)
}

fn hash(path: &Path) -> io::Result<blake3::Hash> {
    Ok(blake3::Hasher::new().update_reader(File::open(path)?)?.finalize())
}
