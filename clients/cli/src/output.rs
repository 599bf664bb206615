//! Tables for people, JSON for programs.

use std::io::{self, Write, stdout};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

use crate::ended::usage;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
    /// A JSON document a line.
    Jsonl,
    /// Comma-separated values; of `classify`.
    Csv,
}

impl Output {
    /// Write a result: `text` for people, `json` for programs.
    pub fn show(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<()> {
        let mut text = match self {
            Output::Table => text(),
            Output::Json => serde_json::to_string_pretty(&json())?,
            Output::Jsonl => match json() {
                Value::Array(entries) => entries.iter().map(|entry| format!("{entry}\n")).collect(),
                one => one.to_string(),
            },
            Output::Csv => {
                return Err(usage("--output csv: table, json and jsonl are accepted here"));
            }
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        match self {
            // Colours, if there are any, are for terminals; NO_COLOR and CLICOLOR_FORCE say otherwise.
            Output::Table => anstream::stdout().write_all(text.as_bytes())?,
            _ => stdout().write_all(text.as_bytes())?,
        }
        Ok(())
    }
}

/// Whether a command ended because whoever read its output, `head` perhaps, has seen enough.
pub fn is_read_no_more(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Rows below their headings, aligned: the first column to the left, the others to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    Columns::default().lines(&[&[headings], rows].concat())
}

/// Columns, which are as wide as their widest cell so far.
#[derive(Default)]
pub struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// More rows, aligned with each other: the first column to the left, the others to the right.
    pub fn lines(&mut self, rows: &[Vec<String>]) -> String {
        let length = |text: &str| text.chars().count();
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = length(cell).max(*width);
            }
        }
        let line = |row: &Vec<String>| {
            let padded = row.iter().zip(&self.widths).enumerate().map(|(column, (cell, width))| {
                let space = " ".repeat(width - length(cell));
                if column == 0 { format!("{cell}{space}") } else { format!("{space}{cell}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_the_letters() {
        let rows = vec![vec!["gelb".into(), "7".into()], vec!["grün".into(), "1000".into()]];
        assert_eq!(table(&["class", "n"], &rows), "class     n\ngelb      7\ngrün   1000\n");
    }

    #[test]
    fn later_rows_fall_into_the_columns_of_those_before() {
        let mut columns = Columns::default();
        let row = |a: &str, b: &str| vec![vec![a.to_owned(), b.to_owned()]];
        assert_eq!(columns.lines(&row("long name", "1")), "long name  1\n");
        assert_eq!(columns.lines(&row("x", "2")), "x          2\n");
    }
}
