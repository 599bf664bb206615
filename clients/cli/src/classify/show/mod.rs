//! What heads answered: a table for people; JSON, JSON lines and CSV for programs. Each line is written when it is known, and those
//! before it are.
//!
//! # Layout
//! - Here: which of them. [`table`], [`json`], [`csv`]: each of them. [`out`]: where they are written.

use anyhow::Result;

pub use self::out::Out;
use self::{csv::Csv, json::json, table::Table};
use super::line::Line;
use crate::{output::Output, say};

mod csv;
mod json;
mod out;
mod table;

/// Where lines go.
pub struct Show {
    form: Form,
    out: Out,
    /// Inputs without an answer, to be told beside the rows that programs read.
    rejected: Vec<(String, String)>,
    lines: u64,
}

enum Form {
    Table(Table),
    /// One document: an array.
    Json,
    /// A document a line.
    JsonLines,
    Csv(Box<Csv>),
}

/// What is known of the lines before the first.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Whether the inputs come with labels.
    pub labelled: bool,
    /// Whether many heads answer.
    pub many: bool,
    /// Labels that are named.
    pub top_k: u32,
}

impl Show {
    /// Lines on standard output.
    pub fn new(output: Output, expected: Expected) -> Result<Show> {
        let Expected { labelled, many, top_k } = expected;
        let form = match output {
            Output::Table => Form::Table(Table::new(labelled, many)),
            Output::Json => Form::Json,
            Output::Jsonl => Form::JsonLines,
            Output::Csv => Form::Csv(Box::new(Csv::new(labelled, top_k as usize)?)),
        };
        Ok(Show { form, out: Out::default(), rejected: Vec::new(), lines: 0 })
    }

    /// Whether a line came.
    pub fn has_lines(&self) -> bool {
        self.lines > 0
    }

    /// A line.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        let first = self.lines == 0;
        self.lines += 1;
        match &mut self.form {
            Form::Table(table) => table.line(line, &mut self.out)?,
            Form::Json => {
                let value = serde_json::to_string_pretty(&json(line))?.replace('\n', "\n  ");
                self.out.write(&format!("{}\n  {value}", if first { "[" } else { "," }))?;
            }
            Form::JsonLines => self.out.write(&format!("{}\n", json(line)))?,
            Form::Csv(csv) => csv.line(line)?,
        }
        if let (Form::JsonLines | Form::Csv(_), Err(reason)) = (&self.form, &line.result) {
            self.rejected.push((line.input.clone(), reason.clone()));
        }
        Ok(())
    }

    /// Let whoever reads have all lines so far, but for the last rows of a table.
    pub fn flush(&mut self) -> Result<()> {
        if let Form::Csv(csv) = &mut self.form {
            csv.flush(&mut self.out)?;
        }
        self.out.flush()?;
        self.rejected.drain(..).for_each(|(input, reason)| say::rejected(input, reason));
        Ok(())
    }

    /// Nothing more comes.
    pub fn end(mut self) -> Result<()> {
        match &mut self.form {
            Form::Table(table) => table.end(&mut self.out)?,
            Form::Json => self.out.write(if self.lines == 0 { "[]\n" } else { "\n]\n" })?,
            Form::JsonLines | Form::Csv(_) => {}
        }
        self.flush()
    }
}
