//! A directory of backbones that an extractor watches, and its folders, which come and go in one step.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// A folder that is being prepared. Its name begins with a dot, so that the extractor does not look at it. Dropping it
/// removes it, unless it was put in its place; then it removes the one that it replaced.
pub struct Prepared {
    path: PathBuf,
    /// Where it goes.
    place: PathBuf,
    /// Whether there is a backbone already, which it changes places with.
    replaces: bool,
}

impl Prepared {
    /// An empty folder in `directory`, for the backbone `name`, which must not be there yet unless it may be replaced.
    pub fn new(directory: &Path, name: &str, may_replace: bool) -> Result<Prepared> {
        if directory.to_string_lossy().contains("://") {
            bail!(
                "--backbones: {}: a directory of this machine is expected; copy the folder into a store by its own tools",
                directory.display()
            );
        }
        let place = directory.join(name);
        let replaces = may_replace && is_backbone(&place);
        if !replaces {
            vacant(directory, name)?;
        }
        fs::create_dir_all(directory).with_context(|| format!("--backbones: {}", directory.display()))?;
        let path = directory.join(format!(".{name}.{}", process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Prepared { path, place, replaces })
    }

    /// Where a file of this name goes.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Write a small file.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    }

    /// Give it its name: from now on the extractor sees it, whole, and in the same moment no longer the one that it replaces.
    pub fn put(&self) -> Result<()> {
        let flags = if self.replaces { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, &self.path, CWD, &self.place, flags)
            .with_context(|| format!("{} -> {}", self.path.display(), self.place.display()))
    }

    /// Undo [`put`](Self::put): what was replaced is there again, or nothing is.
    pub fn take_back(&self) -> Result<()> {
        if self.replaces {
            return self.put();
        }
        fs::rename(&self.place, &self.path).with_context(|| self.place.display().to_string())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // It was put in its place and replaced nothing, or what went wrong before is worth more to the caller.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn vacant(directory: &Path, name: &str) -> Result<()> {
    let place = directory.join(name);
    if place.symlink_metadata().is_ok() {
        bail!(
            "there is a backbone `{name}` in {}; --replace replaces it, `graft backbone remove {name}` removes it",
            directory.display()
        );
    }
    Ok(())
}

/// Remove the backbone `name` from `directory`: at once for the extractor, whatever the size.
pub fn remove(directory: &Path, name: &str) -> Result<()> {
    let place = directory.join(name);
    if !is_backbone(&place) {
        bail!("there is no backbone `{name}` in {}", directory.display());
    }
    let doomed = directory.join(format!(".{name}.{}.removed", process::id()));
    fs::rename(&place, &doomed).with_context(|| place.display().to_string())?;
    fs::remove_dir_all(&doomed).with_context(|| doomed.display().to_string())
}

/// A folder with a manifest. Anything else is not ours to remove.
fn is_backbone(folder: &Path) -> bool {
    let Ok(files) = fs::read_dir(folder) else { return false };
    files.flatten().any(|file| file.path().extension().is_some_and(|end| end == "toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let directory = tempfile::TempDir::new().unwrap();
        let directory = directory.path();
        let prepared = |manifest: &[u8], may_replace| {
            let folder = Prepared::new(directory, "net", may_replace)?;
            folder.write("net.toml", manifest).map(|()| folder)
        };
        let there = || fs::read(directory.join("net/net.toml")).unwrap_or_default();
        drop(prepared(b"dropped", false).unwrap());
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);

        let first = prepared(b"first", true).unwrap();
        first.put().unwrap();
        first.take_back().unwrap();
        assert_eq!(there(), b"");
        first.put().unwrap();
        drop(first);
        let taken = prepared(b"second", false).err().unwrap().to_string();
        assert!(taken.contains("`net`") && taken.contains("--replace") && taken.contains("remove"), "{taken}");

        let second = prepared(b"second", true).unwrap();
        second.put().unwrap();
        assert_eq!(there(), b"second");
        second.take_back().unwrap();
        assert_eq!(there(), b"first");
        second.put().unwrap();
        drop(second);
        assert_eq!((there(), fs::read_dir(directory).unwrap().count()), (b"second".to_vec(), 1));

        remove(directory, "net").unwrap();
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
        assert!(remove(directory, "net").unwrap_err().to_string().contains("no backbone `net`"));
    }

    #[test]
    fn what_is_no_backbone_is_not_removed() {
        let directory = tempfile::TempDir::new().unwrap();
        fs::create_dir(directory.path().join("photos")).unwrap();
        assert!(remove(directory.path(), "photos").is_err());
        assert!(directory.path().join("photos").is_dir());
    }

    #[test]
    fn a_store_is_no_directory() {
        let refused = Prepared::new(Path::new("s3://bucket/backbones"), "net", false).err().unwrap().to_string();
        assert!(refused.contains("s3://bucket/backbones") && refused.contains("directory"), "{refused}");
    }
}
