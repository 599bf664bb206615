//! Answers: as tables for people, as JSON or YAML for programs, and bytes as files.
//!
//! # Layout
//! - Here: the formats. [`shown`]: a message as people see it. [`table`]: aligned columns. [`query`]: jq programs.
//!   [`to_file`]: bytes of answers in files.

use std::io::{ErrorKind, Write};

use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use serde::{Serialize, Serializer};

use crate::{Failure, options::Options};

pub mod query;
pub mod shown;
pub mod table;
pub mod to_file;

use query::Query;
use shown::Shown;
use to_file::ToFile;

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// JSON with indentation.
    Json,
    /// JSON, an answer a line.
    Jsonl,
    /// YAML, an answer a document.
    Yaml,
}

const FORMATS: [(&str, Format); 4] =
    [("table", Format::Table), ("json", Format::Json), ("jsonl", Format::Jsonl), ("yaml", Format::Yaml)];

impl Format {
    /// The names of all.
    pub fn values() -> [&'static str; 4] {
        FORMATS.map(|(name, _)| name)
    }

    /// The format of this name.
    ///
    /// # Errors
    /// Those that there are.
    pub fn named(name: &str) -> Result<Format, String> {
        let found = FORMATS.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or_else(|| format!("`{name}`; {} are accepted", Self::values().join(", ")))
    }
}

/// A message for programs: the names of the contract, fields of default value too, the rest as protobuf maps it to JSON.
#[derive(Debug)]
pub struct ForPrograms<'a>(pub &'a DynamicMessage);

impl Serialize for ForPrograms<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
        self.0.serialize_with_options(to, &options)
    }
}

/// Writes answers.
pub struct Show<'a> {
    out: &'a mut (dyn Write + Send),
    format: Format,
    query: Option<Query>,
    files: Vec<ToFile>,
    /// Whether there is more than one answer, perhaps.
    streams: bool,
    count: usize,
}

impl<'a> Show<'a> {
    /// For the answers of this RPC.
    ///
    /// # Errors
    /// The query is none, or there is no such field of bytes.
    pub fn new(
        method: &MethodDescriptor,
        options: &Options,
        out: &'a mut (dyn Write + Send),
    ) -> Result<Show<'a>, String> {
        let streams = method.is_server_streaming();
        let usual = if streams { Format::Jsonl } else { Format::Table };
        let files = options.output_file.iter().map(|(field, path)| ToFile::new(&method.output(), field, path));
        Ok(Show {
            out,
            format: options.format.unwrap_or(usual),
            query: options.query.as_deref().map(Query::new).transpose()?,
            files: files.collect::<Result<_, _>>()?,
            streams,
            count: 0,
        })
    }

    /// Write an answer.
    ///
    /// # Errors
    /// It cannot be written, or nobody reads any more.
    pub fn answer(&mut self, mut answer: DynamicMessage) -> Result<(), Failure> {
        let mut taken = false;
        for file in &mut self.files {
            taken |= file.take(&mut answer, self.out)?;
        }
        if taken && answer.fields().next().is_none() {
            return Ok(());
        }
        let text = self.text(&answer).map_err(Failure::Input)?;
        self.count += 1;
        write(self.out, text.as_bytes())
    }

    /// All answers were written: let the files appear.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(self) -> Result<(), Failure> {
        self.files.into_iter().try_for_each(ToFile::finish)
    }

    fn text(&self, answer: &DynamicMessage) -> Result<String, String> {
        let Some(query) = &self.query else {
            return Ok(match self.format {
                Format::Table if answer.fields().next().is_none() && !self.streams => "done\n".to_owned(),
                Format::Table => self.apart(table::table(&Shown::of_message(answer))),
                Format::Json => line(serde_json::to_string_pretty(&ForPrograms(answer)).map_err(wrong)?),
                Format::Jsonl => line(serde_json::to_string(&ForPrograms(answer)).map_err(wrong)?),
                Format::Yaml => self.document(yaml_serde::to_string(&ForPrograms(answer)).map_err(wrong)?),
            });
        };
        let json = serde_json::to_string(&ForPrograms(answer)).map_err(wrong)?;
        let mut text = String::new();
        for result in query.run(&json)? {
            let value = || serde_json::from_str::<serde_json::Value>(&result).map_err(wrong);
            text += &match self.format {
                Format::Table => table::table(&Shown::of_json(&value()?)),
                Format::Json => line(serde_json::to_string_pretty(&value()?).map_err(wrong)?),
                Format::Jsonl => line(result),
                Format::Yaml => self.document(yaml_serde::to_string(&value()?).map_err(wrong)?),
            };
        }
        Ok(text)
    }

    /// An empty line between the tables of answers.
    fn apart(&self, text: String) -> String {
        if self.count > 0 { format!("\n{text}") } else { text }
    }

    fn document(&self, text: String) -> String {
        if self.streams { format!("---\n{text}") } else { text }
    }
}

fn line(text: String) -> String {
    text + "\n"
}

fn wrong(error: impl std::fmt::Display) -> String {
    format!("an answer cannot be written: {error}")
}

/// Write at once: who waits for a stream's answers sees each when it comes.
///
/// # Errors
/// It cannot be written, or nobody reads any more.
pub fn write(out: &mut (dyn Write + Send), bytes: &[u8]) -> Result<(), Failure> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read, `head` perhaps, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(error) => Err(Failure::Input(format!("the answers cannot be written: {error}"))),
        Ok(()) => Ok(()),
    }
}
