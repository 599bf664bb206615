//! A folder with a sub-folder a class, whose name is the label; `train`, `val` and `test` may be above the classes. Of images that
//! have no labels yet, the sub-folders say nothing.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use graft_client::proto::Split;
use walkdir::{DirEntry, WalkDir};

use super::{
    layout::{Layout, Survey, is_picture},
    piece::{Read, Rejected, encoded, read_image},
};

/// The files of a folder, one after the other, sorted.
pub struct Folder {
    root: PathBuf,
    walk: Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + Send>,
    layout: Layout,
    total: u64,
    split: Option<Split>,
}

impl Folder {
    /// Look at how the folders are arranged. Hidden files and links are left out.
    pub fn open(root: &Path, split: Option<Split>) -> Result<Folder> {
        let (mut survey, mut total) = (Survey::default(), 0);
        let unlabelled = split == Some(Split::Unlabelled);
        for entry in walk(root).flatten().filter(|entry| is_image(entry, unlabelled)) {
            survey.see(inside(root, &entry));
            total += 1;
        }
        if total == 0 && unlabelled {
            bail!("{} holds no images", root.display());
        }
        if total == 0 {
            bail!("{} holds no class; a sub-folder a class is expected, with the class's images in it", root.display());
        }
        let layout = if unlabelled { Layout::flat() } else { survey.layout(false) };
        Ok(Folder { root: root.to_owned(), walk: Box::new(walk(root)), layout, total, split })
    }

    /// How many files there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    fn read(&self, entry: &DirEntry) -> Option<Read> {
        let path = inside(&self.root, entry);
        let (split, label) = self.layout.place(path)?;
        let id = path.to_string_lossy().into_owned();
        let split = self.split.or(split).unwrap_or(Split::Unspecified);
        Some(match read_image(entry.path()) {
            Ok(bytes) => Ok(encoded(id, label, split, bytes)),
            Err(reason) => Err(Rejected::new(id, reason)),
        })
    }
}

fn walk(root: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> + Send + use<> {
    let visible = |entry: &DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter().filter_entry(visible)
}

/// A file in a sub-folder; of images without labels, a picture anywhere.
fn is_image(entry: &DirEntry, unlabelled: bool) -> bool {
    entry.file_type().is_file() && if unlabelled { is_picture(entry.path()) } else { entry.depth() > 1 }
}

fn inside<'a>(root: &Path, entry: &'a DirEntry) -> &'a Path {
    entry.path().strip_prefix(root).unwrap_or(entry.path())
}

impl Iterator for Folder {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        loop {
            match self.walk.next()? {
                Ok(entry) if is_image(&entry, self.split == Some(Split::Unlabelled)) => {
                    if let Some(read) = self.read(&entry) {
                        return Some(read);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let place = error.path().unwrap_or(&self.root).display().to_string();
                    let reason = error.into_io_error().map_or("a loop of links".into(), |error| error.to_string());
                    return Some(Err(Rejected::new(place, reason)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use graft_client::proto::Example;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::TempDir::new().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    #[test]
    fn sub_folders_are_classes_and_hidden_files_are_none_of_ours() {
        let root =
            folder(&["cat/b.jpg", "cat/a.jpg", "dog/deep/c.png", ".git/x", "cat/.DS_Store", "readme.txt", "b/c/d/e"]);
        let open = Folder::open(root.path(), None).unwrap();
        assert_eq!(open.total(), 4);
        let found: Vec<Example> = open.map(Result::unwrap).collect();
        let names: Vec<(&str, &str)> = found.iter().map(|e| (e.label.as_str(), e.id.as_str())).collect();
        assert_eq!(names, [("b", "b/c/d/e"), ("cat", "cat/a.jpg"), ("cat", "cat/b.jpg"), ("dog", "dog/deep/c.png")]);
        let empty = tempfile::TempDir::new().unwrap();
        assert!(Folder::open(empty.path(), Some(Split::Train)).is_err());
    }

    #[test]
    fn folders_of_splits_say_the_split_unless_another_is_told() {
        let root = folder(&["train/cat/1.jpg", "val/cat/2.jpg", "test/dog/3.jpg"]);
        let splits = |told| -> Vec<(String, i32)> {
            Folder::open(root.path(), told).unwrap().map(Result::unwrap).map(|e| (e.label, e.split)).collect()
        };
        let found = [("dog", Split::Test), ("cat", Split::Train), ("cat", Split::Validation)];
        assert_eq!(splits(None), found.map(|(label, split)| (label.to_owned(), split as i32)));
        assert!(splits(Some(Split::Train)).iter().all(|(_, split)| *split == Split::Train as i32));
    }
}
