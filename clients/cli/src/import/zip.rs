//! A zip with a folder a class in it, as `folder` reads them; nothing is unpacked onto the disk.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use graft_client::proto::Split;
use zip::ZipArchive;

use super::{
    layout::{Layout, Survey},
    piece::{Read, Rejected, encoded, read_limited},
    text,
};

/// The entries of a zip, one after the other.
pub struct Zip {
    name: String,
    archive: ZipArchive<BufReader<File>>,
    next: usize,
    layout: Layout,
    split: Option<Split>,
}

impl Zip {
    /// Open an archive and look at how its folders are arranged.
    pub fn open(path: &Path, split: Option<Split>) -> Result<Zip> {
        let cannot = || format!("cannot read {}", path.display());
        let file = BufReader::new(File::open(path).with_context(cannot)?);
        let mut archive = ZipArchive::new(file).with_context(cannot)?;
        if archive.has_overlapping_entries().with_context(cannot)? {
            bail!("{}: its entries lie one over the other, as only a decompression bomb's do", path.display());
        }
        let mut survey = Survey::default();
        for name in archive.file_names().flatten() {
            if let Ok(path) = inside(&name)
                && !is_hidden(&path)
                && !name.ends_with('/')
            {
                survey.see(&path);
            }
        }
        let layout = if split == Some(Split::Unlabelled) { Layout::flat() } else { survey.layout(true) };
        Ok(Zip { name: text::name(path), archive, next: 0, layout, split })
    }

    /// How many entries there are, folders included.
    pub fn total(&self) -> u64 {
        self.archive.len() as u64
    }

    fn read(&mut self, index: usize) -> Option<Read> {
        let mut entry = match self.archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => return Some(Err(Rejected::new(format!("{}, entry {}", self.name, index + 1), error))),
        };
        let id = match entry.name() {
            Ok(name) => name.into_owned(),
            Err(error) => return Some(Err(Rejected::new(format!("{}, entry {}", self.name, index + 1), error))),
        };
        if entry.is_dir() {
            return None;
        }
        let path = match inside(&id) {
            Ok(path) => path,
            Err(reason) => return Some(Err(Rejected::new(id, reason))),
        };
        if is_hidden(&path) {
            return None;
        }
        if !entry.is_file() {
            return Some(Err(Rejected::new(id, "a link; files alone are accepted")));
        }
        let (split, label) = self.layout.place(&path)?;
        let split = self.split.or(split).unwrap_or(Split::Unspecified);
        let announced = entry.size();
        Some(match read_limited(&mut entry, Some(announced)) {
            Ok(bytes) => Ok(encoded(id, label, split, bytes)),
            Err(reason) => Err(Rejected::new(id, reason)),
        })
    }
}

/// The path of an entry, if it leads into the archive's own folder.
fn inside(name: &str) -> Result<PathBuf, String> {
    let parts: Vec<&str> = name.split(['/', '\\']).collect();
    let drive = parts[0].ends_with(':');
    if parts[0].is_empty() || drive || parts.contains(&"..") || name.contains('\0') {
        return Err("its path leads out of the archive; relative paths without `..` are accepted".into());
    }
    Ok(parts.into_iter().filter(|part| !part.is_empty() && *part != ".").collect())
}

/// What systems leave in archives.
fn is_hidden(path: &Path) -> bool {
    path.iter().any(|part| part == "__MACOSX" || part.to_string_lossy().starts_with('.'))
}

impl Iterator for Zip {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        while self.next < self.archive.len() {
            self.next += 1;
            if let Some(read) = self.read(self.next - 1) {
                return Some(read);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_is_no_path() {
        for bad in ["../../etc/passwd", "/etc/passwd", "cat/../../x", "C:\\x", "\\\\host\\x", "", "a\0b"] {
            assert!(inside(bad).is_err(), "{bad}");
        }
        assert_eq!(inside("./cat//1.jpg").unwrap(), Path::new("cat/1.jpg"));
    }
}
