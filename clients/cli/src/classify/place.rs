//! Where images are: files, folders, globs, URIs and standard input, found one after the other.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, stdin},
    iter::once,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use glob::MatchOptions;
use walkdir::{DirEntry, WalkDir};

use crate::import::{layout::is_picture, piece::Rejected};

/// What stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// Anywhere: the extractor fetches it, if it may.
    Uri(String),
    /// Standard input is the image.
    StandardInput,
}

/// A place, or why there is none.
pub type Found = Result<Place, Rejected>;

/// Places, one after the other.
pub type Places = Box<dyn Iterator<Item = Found> + Send>;

/// The places that `arguments` name.
pub fn all(arguments: Vec<PathBuf>) -> Places {
    Box::new(arguments.into_iter().flat_map(|argument| -> Places {
        match argument == Path::new(STANDARD_INPUT) {
            true => Box::new(once(Ok(Place::StandardInput))),
            false => named(argument),
        }
    }))
}

/// The places that the lines of a file name, or of standard input.
pub fn listed(list: &Path) -> Result<Places> {
    let lines: Box<dyn BufRead + Send> = match list == Path::new(STANDARD_INPUT) {
        true => Box::new(BufReader::new(stdin())),
        false => {
            let file = File::open(list).with_context(|| format!("--files-from: cannot read {}", list.display()))?;
            Box::new(BufReader::new(file))
        }
    };
    let name = list.display().to_string();
    Ok(Box::new(lines.split(b'\n').flat_map(move |line| line_places(&name, line))))
}

/// The places that a line names; an empty one names none.
fn line_places(list: &str, line: io::Result<Vec<u8>>) -> Places {
    match line {
        Err(error) => Box::new(once(Err(Rejected::new(list, error)))),
        Ok(line) => match line.strip_suffix(b"\r").unwrap_or(&line) {
            [] => Box::new(std::iter::empty()),
            path => named(OsStr::from_bytes(path).into()),
        },
    }
}

/// What one name stands for. A file that is there is meant, whatever its name looks like.
fn named(name: PathBuf) -> Places {
    let text = name.to_string_lossy().into_owned();
    if text.contains("://") {
        return Box::new(once(Ok(Place::Uri(text))));
    }
    if name.is_dir() {
        return or_none(folder(name), text, "this folder holds no images");
    }
    if text.contains(['*', '?', '[']) && !name.exists() {
        return matching(text);
    }
    Box::new(once(Ok(Place::File(name))))
}

/// The files that a pattern matches, sorted, and the images of the folders that it does.
fn matching(pattern: String) -> Places {
    // Hidden files are meant by their names alone, as in a shell.
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    match glob::glob_with(&pattern, options) {
        Err(error) => Box::new(once(Err(Rejected::new(pattern, error)))),
        Ok(paths) => {
            let found = paths.flat_map(|path| -> Places {
                match path {
                    Ok(path) if path.is_dir() => folder(path),
                    Ok(path) => Box::new(once(Ok(Place::File(path)))),
                    Err(error) => Box::new(once(Err(Rejected::new(error.path().display().to_string(), error.error())))),
                }
            });
            or_none(Box::new(found), pattern, "no file is named so")
        }
    }
}

/// The images of a folder and those below it, sorted. Hidden files and links are left out.
fn folder(root: PathBuf) -> Places {
    let visible = |entry: &DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let entries = WalkDir::new(&root).min_depth(1).sort_by_file_name().into_iter().filter_entry(visible);
    Box::new(entries.filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_file() && is_picture(entry.path()) => {
            Some(Ok(Place::File(entry.into_path())))
        }
        Ok(_) => None,
        Err(error) => {
            let place = error.path().unwrap_or(&root).display().to_string();
            Some(Err(Rejected::new(place, error.io_error().map_or("a loop of links".into(), io::Error::to_string))))
        }
    }))
}

/// `places`; if there are none, that is what is wrong with `name`.
fn or_none(places: Places, name: String, reason: &str) -> Places {
    let mut places = places.peekable();
    match places.peek() {
        Some(_) => Box::new(places),
        None => Box::new(once(Err(Rejected::new(name, reason)))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(places: Places, root: &Path) -> Vec<String> {
        let name = |found: Found| match found {
            Ok(Place::File(path)) => path.strip_prefix(root).unwrap_or(&path).display().to_string(),
            Ok(Place::Uri(uri)) => uri,
            Ok(Place::StandardInput) => "-".into(),
            Err(bad) => format!("!{}", bad.reason),
        };
        places.map(name).collect()
    }

    #[test]
    fn folders_and_globs_are_files_in_order() {
        let root = tempfile::TempDir::new().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        for name in ["b/2.png", "b/1.JPG", "b/c/3.webp", "b/words.txt", "b/.hidden.png", "a[1].png"] {
            fs::write(at(name), "").unwrap();
        }
        let of = |argument: &str| names(all(vec![at(argument)]), root.path());
        assert_eq!(of("b"), ["b/1.JPG", "b/2.png", "b/c/3.webp"]);
        assert_eq!(of("b/*.png"), ["b/2.png"]);
        assert_eq!(of("*"), ["a[1].png", "b/1.JPG", "b/2.png", "b/c/3.webp"]);
        assert_eq!(of("a[1].png"), ["a[1].png"]);
        assert_eq!(of("nothing/*"), ["!no file is named so"]);
        fs::create_dir(at("empty")).unwrap();
        assert_eq!(of("empty"), ["!this folder holds no images"]);
    }

    #[test]
    fn a_list_has_a_place_a_line() {
        let root = tempfile::TempDir::new().unwrap();
        let list = root.path().join("list");
        fs::write(&list, "a.png\r\n\nhttps://x/y.png\nb c.png").unwrap();
        assert_eq!(names(listed(&list).unwrap(), root.path()), ["a.png", "https://x/y.png", "b c.png"]);
        assert!(listed(Path::new("/nowhere")).err().unwrap().to_string().contains("--files-from"));
    }
}
