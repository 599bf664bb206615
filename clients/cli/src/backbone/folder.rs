//! A directory of backbones that an extractor watches, and its folders, which come and go in one step.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, bail};

/// A folder that is being prepared. Its name begins with a dot, so that the extractor does not look at it. Dropping it
/// removes it, unless it was put in its place.
pub struct Prepared {
    directory: PathBuf,
    path: PathBuf,
}

impl Prepared {
    /// An empty folder in `directory`, for the backbone `name`, which must not be there yet.
    pub fn new(directory: &Path, name: &str) -> Result<Prepared> {
        if directory.to_string_lossy().contains("://") {
            bail!(
                "--backbones: {}: a directory of this machine is expected; copy the folder into a store by its own tools",
                directory.display()
            );
        }
        vacant(directory, name)?;
        fs::create_dir_all(directory).with_context(|| format!("--backbones: {}", directory.display()))?;
        let path = directory.join(format!(".{name}.{}", process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Prepared { directory: directory.to_owned(), path })
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

    /// Give it its name: from now on the extractor sees it, whole.
    pub fn put(self, name: &str) -> Result<()> {
        vacant(&self.directory, name)?;
        let place = self.directory.join(name);
        fs::rename(&self.path, &place).with_context(|| format!("{} -> {}", self.path.display(), place.display()))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // It was put in its place, or what went wrong before is worth more to the caller.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn vacant(directory: &Path, name: &str) -> Result<()> {
    let place = directory.join(name);
    if place.symlink_metadata().is_ok() {
        bail!("there is a backbone `{name}` in {}; `graft backbone remove {name}` removes it", directory.display());
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
        let dropped = Prepared::new(directory.path(), "net").unwrap();
        dropped.write("net.toml", b"name = 'net'").unwrap();
        drop(dropped);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

        let folder = Prepared::new(directory.path(), "net").unwrap();
        folder.write("net.toml", b"name = 'net'").unwrap();
        folder.put("net").unwrap();
        assert_eq!(fs::read(directory.path().join("net/net.toml")).unwrap(), b"name = 'net'");
        let taken = Prepared::new(directory.path(), "net").err().unwrap().to_string();
        assert!(taken.contains("`net`") && taken.contains("remove"), "{taken}");

        remove(directory.path(), "net").unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(remove(directory.path(), "net").unwrap_err().to_string().contains("no backbone `net`"));
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
        let refused = Prepared::new(Path::new("s3://bucket/backbones"), "net").err().unwrap().to_string();
        assert!(refused.contains("s3://bucket/backbones") && refused.contains("directory"), "{refused}");
    }
}
