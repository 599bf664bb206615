//! The files of a path: itself, all below a folder, or those of a pattern. They are found one after the other.

use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Files, as they are found, or what kept one from being found.
pub type Files = Box<dyn Iterator<Item = Result<PathBuf, String>> + Send>;

/// The files of a path, sorted. Below a folder, those whose names begin with a dot are left out, and folders of such names.
///
/// # Errors
/// There is nothing of this name, and it is no pattern.
pub fn of(path: &str) -> Result<Files, String> {
    let place = Path::new(path);
    if path == "-" || place.is_file() {
        return Ok(Box::new(std::iter::once(Ok(place.to_owned()))));
    }
    if place.is_dir() {
        return Ok(below(place));
    }
    if !path.contains(['*', '?', '[']) {
        return match std::fs::metadata(place) {
            // A pipe, perhaps.
            Ok(_) => Ok(Box::new(std::iter::once(Ok(place.to_owned())))),
            Err(error) => Err(format!("{path}: {error}")),
        };
    }
    let found = glob::glob(path).map_err(|error| format!("{path}: {error}"))?;
    let found = found.map(|found| found.map_err(|error| error.to_string()));
    Ok(Box::new(found.filter(|found| found.as_ref().map_or(true, |path| !path.is_dir()))))
}

fn below(folder: &Path) -> Files {
    let hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let found = WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(move |entry| !hidden(entry));
    let found = found.filter(|entry| entry.as_ref().map_or(true, |entry| !entry.file_type().is_dir()));
    Box::new(found.map(|entry| entry.map(DirEntry::into_path).map_err(|error| error.to_string())))
}
