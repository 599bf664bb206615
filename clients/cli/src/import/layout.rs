//! What the folders above an image say of it: its class, and perhaps its split.

use std::{
    collections::HashSet,
    path::{Component, Path},
};

use graft_client::proto::Split;

use super::piece::split_of;

/// How the folders of an input are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Folders above everything, which say nothing.
    wrapping: usize,
    /// Whether `train`, `val` and `test` are above the classes.
    splits: bool,
    /// Whether all folders say nothing: the images have no labels.
    flat: bool,
}

/// What was seen of the folders so far. It grows with the number of classes, not with that of the files.
#[derive(Debug, Default)]
pub struct Survey {
    /// The outermost folders, and those in them, of the files that are in two or more.
    outer: HashSet<String>,
    inner: HashSet<String>,
    /// Whether a picture is in less than two folders.
    shallow: bool,
    /// Whether a picture is in less than three.
    shallow_inside: bool,
}

impl Survey {
    /// See one file's path, relative to the input.
    pub fn see(&mut self, path: &Path) {
        let names = names(path);
        if let [outer, rest @ ..] = &names[..]
            && !rest.is_empty()
        {
            self.outer.insert(outer.clone());
            // A stray note or table beside the folders does not make them classes.
            self.shallow |= rest.len() < 2 && is_picture(path);
            self.shallow_inside |= rest.len() < 3 && is_picture(path);
            if rest.len() >= 2 {
                self.inner.insert(rest[0].clone());
            }
        }
    }

    /// How the folders are arranged. `wrapped`: one folder around everything may be left out, as archives often have it.
    pub fn layout(&self, wrapped: bool) -> Layout {
        let all_splits =
            |names: &HashSet<String>| !names.is_empty() && names.iter().all(|name| split_of(name).is_some());
        if all_splits(&self.outer) && !self.shallow {
            return Layout { wrapping: 0, splits: true, flat: false };
        }
        if wrapped && self.outer.len() == 1 && !self.shallow {
            return Layout { wrapping: 1, splits: all_splits(&self.inner) && !self.shallow_inside, flat: false };
        }
        Layout { wrapping: 0, splits: false, flat: false }
    }
}

impl Layout {
    /// That of pictures without labels, wherever they are.
    pub fn flat() -> Layout {
        Layout { wrapping: 0, splits: false, flat: true }
    }

    /// The split, if the folders say one, and the label of a file; `None` for one that is in no class.
    pub fn place(self, path: &Path) -> Option<(Option<Split>, String)> {
        if self.flat {
            return is_picture(path).then(|| (None, String::new()));
        }
        let names = names(path);
        let inside = names.get(self.wrapping..)?;
        match inside {
            [split, label, _, ..] if self.splits => Some((split_of(split), label.clone())),
            [label, _, ..] if !self.splits => Some((None, label.clone())),
            _ => None,
        }
    }
}

/// Whether a file's name ends as those of images do.
pub fn is_picture(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"].contains(&end.as_str())
}

fn names(path: &Path) -> Vec<String> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(paths: &[&str], wrapped: bool) -> Layout {
        let mut survey = Survey::default();
        paths.iter().for_each(|path| survey.see(Path::new(path)));
        survey.layout(wrapped)
    }

    #[test]
    fn splits_are_folders_above_classes_and_not_classes_of_that_name() {
        let split = layout(&["train/cat/1.jpg", "val/dog/a/2.jpg", "readme.txt", "train/labels.csv"], false);
        assert_eq!(split.place(Path::new("val/dog/a/2.jpg")), Some((Some(Split::Validation), "dog".into())));
        assert_eq!(split.place(Path::new("readme.txt")), None);
        let classes = layout(&["train/1.jpg", "test/2.jpg"], false);
        assert_eq!(classes.place(Path::new("train/1.jpg")), Some((None, "train".into())), "pictures of trains");
        let mixed = layout(&["train/cat/1.jpg", "bus/2.jpg"], false);
        assert_eq!(mixed.place(Path::new("train/cat/1.jpg")), Some((None, "train".into())));
    }

    #[test]
    fn one_folder_around_everything_is_left_out_of_archives() {
        let paths = ["photos/cat/1.jpg", "photos/dog/2.jpg"];
        assert_eq!(layout(&paths, true).place(Path::new(paths[0])), Some((None, "cat".into())));
        assert_eq!(layout(&paths, false).place(Path::new(paths[0])), Some((None, "photos".into())));
        let both = ["photos/train/cat/1.jpg", "photos/test/dog/2.jpg"];
        assert_eq!(layout(&both, true).place(Path::new(both[1])), Some((Some(Split::Test), "dog".into())));
        assert_eq!(layout(&["cat/1.jpg", "cat/2.jpg"], true).place(Path::new("cat/1.jpg")), Some((None, "cat".into())));
    }
}
