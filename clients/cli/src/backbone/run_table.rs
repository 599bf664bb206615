//! The `[run]` table of a manifest, which is written without touching the rest: comments and order stay.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table};

/// The manifest of the backbone `name` in a directory, if there is one.
pub fn find(directory: &Path, name: &str) -> Result<Option<PathBuf>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let visible = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    for folder in files(directory)?.into_iter().filter(|path| path.is_dir() && visible(path)) {
        for path in files(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            // What cannot be read is another backbone's trouble, and the extractor tells of it.
            let Ok(document) = read(&path) else { continue };
            if visible(&path) && document.get("name").and_then(Item::as_str) == Some(name) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// The content of a directory by name, as the extractor goes through it: of two backbones with a name the first has it.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let place = || directory.display().to_string();
    let entries = fs::read_dir(directory).with_context(place)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(place)?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<DocumentMut> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

/// Set numbers in the `[run]` table of the manifest at `path`, in one step.
pub fn write(path: &Path, numbers: &Map<String, Value>) -> Result<()> {
    let text = set(read(path)?, numbers).with_context(|| path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    // A name with a dot is not looked at, so nobody reads half a file.
    let part = folder.join(format!(".run.{}.part", process::id()));
    let permissions = fs::metadata(path).with_context(|| path.display().to_string())?.permissions();
    fs::write(&part, text)
        .and_then(|()| fs::set_permissions(&part, permissions))
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| drop(fs::remove_file(&part)))
        .with_context(|| format!("writing {}", path.display()))
}

fn set(mut document: DocumentMut, numbers: &Map<String, Value>) -> Result<String> {
    let run = document.entry("run").or_insert_with(|| Item::Table(Table::new()));
    let Some(run) = run.as_table_like_mut() else { bail!("run: a table is expected") };
    for (key, number) in numbers {
        let number = number.as_i64().with_context(|| format!("{key}: {number}: a number is expected"))?;
        match run.get_mut(key).and_then(Item::as_value_mut) {
            // The comment behind a number stays.
            Some(value) => {
                let decor = value.decor().clone();
                *value = number.into();
                *value.decor_mut() = decor;
            }
            None => drop(run.insert(key, toml_edit::value(number))),
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# Mine.\nname = 'net' # short\n\n[run]\n# The fast one.\nprovider = 'cuda'\nbatch = 4 # by hand\n\n[preprocessing]\ncrop = 224\n";
        let written = set(text.parse().unwrap(), &numbers(r#"{ "batch": 16, "lanes": 2 }"#)).unwrap();
        let expected = text.replace("batch = 4 # by hand\n", "batch = 16 # by hand\nlanes = 2\n");
        assert_eq!(written, expected);
    }

    #[test]
    fn a_table_is_made_where_there_is_none() {
        let text = "name = 'net'\n\n[preprocessing]\ncrop = 224 # all\n";
        let written = set(text.parse().unwrap(), &numbers(r#"{ "batch": 1 }"#)).unwrap();
        assert_eq!(written, format!("{text}\n[run]\nbatch = 1\n"));
        let inline = set("run = { lanes = 1 }".parse().unwrap(), &numbers(r#"{ "lanes": 2 }"#)).unwrap();
        assert_eq!(inline.trim(), "run = { lanes = 2 }");
        assert!(set("run = 3".parse().unwrap(), &numbers("{}")).unwrap_err().to_string().contains("table"));
    }

    #[test]
    fn the_manifest_is_found_by_the_name_that_it_says() {
        let directory = tempfile::TempDir::new().unwrap();
        for (folder, text) in
            [("a", "name = 'other'"), ("b", "name = "), ("c", "name = 'net'"), (".d", "name = 'hidden'")]
        {
            fs::create_dir(directory.path().join(folder)).unwrap();
            fs::write(directory.path().join(folder).join("backbone.toml"), text).unwrap();
        }
        let found = |name| find(directory.path(), name).unwrap();
        assert_eq!(found("net"), Some(directory.path().join("c/backbone.toml")));
        assert_eq!((found("hidden"), found("c")), (None, None));
        write(&directory.path().join("c/backbone.toml"), &numbers(r#"{ "batch": 2 }"#)).unwrap();
        assert_eq!(files(&directory.path().join("c")).unwrap().len(), 1, "nothing else is left");
        assert_eq!(find(Path::new("/nowhere"), "net").unwrap(), None);
    }
}
