//! A folder with a sub-folder a class, whose name is the label.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use graft_client::proto::{Example, Image, Split, image::Source};
use walkdir::WalkDir;

use super::{Read, Rejected};

/// The largest file that is read, in bytes: what the extractor takes.
const MOST_BYTES: u64 = 16 << 20;

/// The files of a folder, one after the other, sorted.
pub struct Folder {
    files: std::vec::IntoIter<File>,
    total: u64,
    split: Split,
}

struct File {
    path: PathBuf,
    id: String,
    label: String,
}

impl Folder {
    /// Find the files. Hidden ones and links are left out.
    pub fn open(root: &Path, split: Split) -> Result<Folder> {
        let mut files = Vec::new();
        let visible = |entry: &walkdir::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
        let walk = WalkDir::new(root).min_depth(1).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(visible) {
            let entry = entry?;
            let inside = entry.path().strip_prefix(root).unwrap_or(entry.path());
            if !entry.file_type().is_file() || entry.depth() < 2 {
                continue;
            }
            let label = inside.iter().next().unwrap_or_default().to_string_lossy().into_owned();
            let id = inside.to_string_lossy().into_owned();
            files.push(File { path: entry.path().to_owned(), id, label });
        }
        if files.is_empty() {
            bail!("{} holds no class; a sub-folder a class is expected, with the class's images in it", root.display());
        }
        Ok(Folder { total: files.len() as u64, files: files.into_iter(), split })
    }

    /// How many files there are.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// The bytes of an image file.
pub fn read_image(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > MOST_BYTES {
        return Err(format!("{bytes} bytes; at most {MOST_BYTES} are accepted"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

impl Iterator for Folder {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        let File { path, id, label } = self.files.next()?;
        let image = match read_image(&path) {
            Ok(bytes) => Image { source: Some(Source::Encoded(bytes.into())) },
            Err(reason) => return Some(Err(Rejected { place: id, reason })),
        };
        Some(Ok(Example { id, label, split: self.split as i32, image: Some(image) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_folders_are_classes_and_hidden_files_are_none_of_ours() {
        let root = tempfile::TempDir::new().unwrap();
        for file in ["cat/b.jpg", "cat/a.jpg", "dog/deep/c.png", ".git/x", "cat/.DS_Store", "readme.txt"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let found: Vec<Example> = Folder::open(root.path(), Split::Unspecified).unwrap().map(Result::unwrap).collect();
        let names: Vec<(&str, &str)> = found.iter().map(|e| (e.label.as_str(), e.id.as_str())).collect();
        assert_eq!(names, [("cat", "cat/a.jpg"), ("cat", "cat/b.jpg"), ("dog", "dog/deep/c.png")]);
        let empty = tempfile::TempDir::new().unwrap();
        assert!(Folder::open(empty.path(), Split::Train).is_err());
    }
}
