//! `{path}` and the like in the texts of flags, for each file.

use std::path::Path;

use prost_reflect::Kind;

use crate::{request::Given, value::Reading};

/// A file, as texts may speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The path by which it was found.
    pub path: &'a Path,
    /// Its place among the files, from 0 on.
    pub index: usize,
}

const WORDS: [&str; 5] = ["{path}", "{name}", "{stem}", "{parent}", "{index}"];

/// Whether what a flag says differs from file to file.
pub fn varies(given: &Given) -> bool {
    matches!(given.flag.reading, Reading::Scalar(Kind::String))
        && given.texts.iter().any(|text| WORDS.iter().any(|word| text.contains(word)))
}

/// The same flag with the words of a file in place.
pub fn of_file(given: &Given, file: Named<'_>) -> Given {
    let texts = given.texts.iter().map(|text| replace(text, file)).collect();
    Given { flag: given.flag.clone(), texts }
}

/// A text with the words of a file in place. It is gone through once: what is in a name is no word.
pub fn replace(text: &str, file: Named<'_>) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(begin) = rest.find('{') {
        done += &rest[..begin];
        rest = &rest[begin..];
        match WORDS.iter().find(|word| rest.starts_with(**word)) {
            Some(word) => {
                done += &meaning(word, file);
                rest = &rest[word.len()..];
            }
            None => {
                done.push('{');
                rest = &rest[1..];
            }
        }
    }
    done + rest
}

fn meaning(word: &str, file: Named<'_>) -> String {
    let part =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    match word {
        "{path}" => file.path.to_string_lossy().into_owned(),
        "{name}" => part(file.path.file_name()),
        "{stem}" => part(file.path.file_stem()),
        "{parent}" => part(file.path.parent().and_then(Path::file_name)),
        _ => file.index.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_replaced_once() {
        let file = Named { path: Path::new("photos/{index}/a.b.jpg"), index: 7 };
        assert_eq!(replace("{parent}/{stem}", file), "{index}/a.b");
        assert_eq!(replace("{path} {name} {index} {other} {", file), "photos/{index}/a.b.jpg a.b.jpg 7 {other} {");
        assert_eq!(replace("", file), "");
    }
}
