//! Tables for people, JSON for programs.

use std::io::{Write, stdout};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
}

impl Output {
    /// Write a result: `text` for people, `json` for programs.
    pub fn show(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<()> {
        let mut text = match self {
            Output::Table => text(),
            Output::Json => serde_json::to_string_pretty(&json())?,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        match stdout().write_all(text.as_bytes()) {
            // Whoever read, `head` perhaps, has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }
}

/// Rows below their headings, aligned: the first column to the left, the others to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = headings.iter().map(|heading| length(heading)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = length(cell).max(*width);
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, width))| {
            let space = " ".repeat(width - length(cell));
            if column == 0 { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_the_letters() {
        let rows = vec![vec!["gelb".into(), "7".into()], vec!["grün".into(), "1000".into()]];
        assert_eq!(table(&["class", "n"], &rows), "class     n\ngelb      7\ngrün   1000\n");
    }
}
