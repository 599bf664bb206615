//! The file of contexts on disk: for its owner alone, and replaced in one step.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::{Context, Result};
use graft_client::config::{ConfigFile, Place};
use rustix::fs::{FlockOperation, flock};

use crate::whole::WholeFile;

/// The file, and what it says; nothing if it is not there.
pub struct Stored {
    pub place: Place,
    pub text: String,
}

/// Keep other commands from changing the file as long as this lives: they wait.
pub fn lock(place: &Place) -> Result<File> {
    let folder = folder(&place.path);
    let cannot = || format!("cannot write {}", place.path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
    let lock = File::open(folder).with_context(cannot)?;
    flock(&lock, FlockOperation::LockExclusive).with_context(cannot)?;
    Ok(lock)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Stored {
    pub fn read(place: Place) -> Result<Stored> {
        match fs::read_to_string(&place.path) {
            Ok(text) => Ok(Stored { place, text }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stored { place, text: String::new() }),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", place.path.display())),
        }
    }

    /// What it means, if it means something.
    pub fn parse(&self) -> Result<ConfigFile> {
        Ok(ConfigFile::parse(&self.text, &self.place.path)?)
    }

    /// Replace the file. Where a link leads to it, the link stays.
    pub fn write(&self) -> Result<()> {
        let path = self.place.path.canonicalize().unwrap_or_else(|_| self.place.path.clone());
        let mut file = WholeFile::private(&path)?;
        file.write_all(self.text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        file.put()
    }
}
