//! What the comments of a contract say of each of its parts.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// The comments of all files of a pool, by file and path.
#[derive(Clone, Debug, Default)]
pub struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    /// The comments above (or else behind) each part of these files, as far as the files kept them.
    pub fn of(pool: &DescriptorPool) -> Comments {
        Comments(pool.files().map(|file| (file.name().to_owned(), in_file(&file))).collect())
    }

    /// What is said of the part of `file` at `path`, a paragraph a line; empty if nothing is.
    pub fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.0.get(file.name()).and_then(|comments| comments.get(path)).map_or("", String::as_str)
    }
}

fn in_file(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let Some(info) = &file.file_descriptor_proto().source_code_info else { return HashMap::new() };
    let said = info.location.iter().filter_map(|location| {
        let comment = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
        Some((location.path.clone(), tidy(comment)))
    });
    said.collect()
}

/// A comment with each paragraph, and each item of a list, on one line.
pub fn tidy(comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push_str("\n\n");
            }
        } else {
            if line.starts_with("- ") && !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            } else if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text.trim_end().to_owned()
}

/// The first sentence of a comment, without its full stop.
pub fn first_sentence(comment: &str) -> &str {
    let line = comment.lines().next().unwrap_or_default();
    let end = line.find(". ").unwrap_or(line.len());
    let sentence = &line[..end];
    sentence.strip_suffix('.').unwrap_or(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_paragraphs_and_sentences() {
        let comment = " Embed a stream. Answers\n come early.\n\n Kinds:\n - one\n - two\n   more\n";
        assert_eq!(tidy(comment), "Embed a stream. Answers come early.\n\nKinds:\n- one\n- two more");
        assert_eq!(first_sentence(&tidy(comment)), "Embed a stream");
        assert_eq!(first_sentence("Such as a.b, or so."), "Such as a.b, or so");
        assert_eq!(first_sentence(""), "");
    }
}
