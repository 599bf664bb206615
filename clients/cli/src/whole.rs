//! A file that appears whole under its name, or not at all.

use std::{
    fs::Permissions,
    io::{BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

/// What the system lets others do with a new file is taken off these.
const PERMISSIONS: u32 = 0o666;
/// Those of a file that its owner alone may read.
const PRIVATE: u32 = 0o600;

/// A file that is being written beside its place. Dropping it removes it.
pub struct WholeFile {
    file: BufWriter<NamedTempFile>,
    place: PathBuf,
}

impl WholeFile {
    /// A file that is to be at `place`. What is there now is replaced when it is whole.
    pub fn new(place: &Path) -> Result<WholeFile> {
        WholeFile::with(place, PERMISSIONS)
    }

    /// The same, for its owner alone.
    pub fn private(place: &Path) -> Result<WholeFile> {
        WholeFile::with(place, PRIVATE)
    }

    fn with(place: &Path, permissions: u32) -> Result<WholeFile> {
        let cannot = || format!("cannot write {}", place.display());
        let name = place.file_name().with_context(cannot)?.to_string_lossy().into_owned();
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if place.is_dir() {
            bail!("cannot write {}: it is a folder; the name of a file is expected", place.display());
        }
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .permissions(Permissions::from_mode(permissions))
            .tempfile_in(folder)
            .with_context(cannot)?;
        Ok(WholeFile { file: BufWriter::new(file), place: place.to_owned() })
    }

    /// Give it its name.
    pub fn put(self) -> Result<()> {
        let cannot = || format!("cannot write {}", self.place.display());
        let file = self.file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        file.persist(&self.place).map_err(|error| error.error).with_context(cannot)?;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_no_rest_is_left() {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().join("head.onnx");
        fs::write(&place, b"before").unwrap();
        let mut dropped = WholeFile::new(&place).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read(&place).unwrap(), b"before");
        let mut file = WholeFile::new(&place).unwrap();
        file.write_all(b"whole").unwrap();
        file.put().unwrap();
        assert_eq!((fs::read(&place).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (b"whole".to_vec(), 1));
        assert!(WholeFile::new(folder.path()).err().unwrap().to_string().contains("folder"));
        assert!(WholeFile::new(&folder.path().join("none/x")).is_err());
    }
}
