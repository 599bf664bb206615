//! One file that is on this machine now, and its way to its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    checksum::{Copied, copy},
    error::PullError,
};

/// A file that is on this machine now.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Where it came from, as exactly as can be said.
    pub origin: String,
    /// The checksum that the source itself gives.
    pub promised: Option<String>,
    /// Whose the file at `path` is.
    pub owner: Owner,
}

/// Whose a file is, and so when it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user's: never.
    User,
    /// The hub's cache: if it is wrong, so that the next try does not find it there.
    HubCache,
    /// A download of ours: as soon as it is in its place, or wrong.
    Download,
}

impl Fetched {
    /// Its size.
    pub fn bytes(&self) -> Result<u64, PullError> {
        Ok(fs::metadata(&self.path).map_err(PullError::file(&self.path))?.len())
    }

    /// Copy it to `target`, and check there that it has the checksum `expected`, if one is given, the one that its source
    /// gives, and that `check` finds nothing wrong with it. Nothing is left at `target` if not.
    pub fn install(
        &self,
        target: &Path,
        expected: Option<&str>,
        check: impl FnOnce(&Path) -> Result<(), PullError>,
    ) -> Result<Copied, PullError> {
        let copied = copy(&self.path, target)?;
        let checked = self.compare(&copied, expected).and_then(|()| check(target));
        if checked.is_err() {
            // What is wrong with it is worth more to the caller than that it could not be removed.
            let _ = fs::remove_file(target);
            self.discard();
        }
        self.release();
        checked.map(|()| copied)
    }

    fn compare(&self, copied: &Copied, expected: Option<&str>) -> Result<(), PullError> {
        for wanted in [expected, self.promised.as_deref()].into_iter().flatten() {
            if !wanted.eq_ignore_ascii_case(&copied.sha256) {
                let (expected, found) = (wanted.to_lowercase(), copied.sha256.clone());
                return Err(PullError::Checksum { uri: self.origin.clone(), expected, found });
            }
        }
        Ok(())
    }

    /// It is not needed any more.
    pub fn release(&self) {
        if self.owner == Owner::Download {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(self.path.with_extension("of"));
        }
    }

    /// It is wrong: the next try must not find it.
    pub fn discard(&self) {
        self.release();
        if self.owner == Owner::HubCache {
            let _ = self.path.canonicalize().and_then(fs::remove_file);
            let _ = fs::remove_file(&self.path);
        }
    }
}
