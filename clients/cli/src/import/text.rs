//! Files that may be gzipped.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;

/// The first two bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes of a file, one after the other.
pub type Bytes = Box<dyn Read + Send>;

/// Open a file; gzip is known by its first bytes and unpacked on the way.
pub fn open(path: &Path) -> Result<Bytes> {
    let cannot = || format!("cannot read {}", path.display());
    let found = path.metadata().with_context(cannot)?;
    anyhow::ensure!(found.is_file(), "{} is not a file", path.display());
    let mut start = Vec::new();
    File::open(path).with_context(cannot)?.take(2).read_to_end(&mut start).with_context(cannot)?;
    let file = BufReader::new(File::open(path).with_context(cannot)?);
    Ok(if start == GZIP { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// At most `most` bytes from the beginning of a file, unpacked; fewer if it cannot be read further.
pub fn head(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    // What cannot be unpacked is told when it is read for good.
    let _ = open(path)?.take(most).read_to_end(&mut head);
    Ok(head)
}

/// The file's own name, for places in it.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
