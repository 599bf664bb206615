//! The flags that every command has beside those of its fields.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser, parser::ValueSource};
use http::{HeaderName, HeaderValue};
use prost_reflect::MethodDescriptor;

use crate::{show::Format, value::time};

/// The heading above them in help.
const HEADING: &str = "The call";
/// Their names, and those that clap gives itself: no field's flag may have one.
const NAMES: [&str; 10] =
    ["json", "each", "output", "output-file", "query", "endpoint", "timeout", "header", "help", "reflect"];

/// What they say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The request, or the messages of the stream, as JSON: `@FILE`, `-`, or as it is.
    pub json: Option<String>,
    /// Files of which each is a message: `FIELD=PATH`.
    pub each: Vec<String>,
    /// How answers are written; `None` for what suits the call.
    pub format: Option<Format>,
    /// Bytes of answers that go to files: `FIELD=PATH`.
    pub output_file: Vec<(String, PathBuf)>,
    /// A jq program that answers go through.
    pub query: Option<String>,
    /// Where the service is; `None` for where it usually is.
    pub endpoint: Option<String>,
    /// How long the call may take.
    pub timeout: Option<Duration>,
    /// Metadata that is sent along.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The names that flags of fields cannot have, together with those of the program.
pub fn taken(program: &[String]) -> HashSet<String> {
    NAMES.iter().map(|name| (*name).to_owned()).chain(program.iter().cloned()).collect()
}

/// The arguments of a command for this RPC.
pub fn arguments(method: &MethodDescriptor) -> Vec<Arg> {
    let (stream_in, stream_out) = (method.is_client_streaming(), method.is_server_streaming());
    let mut arguments = vec![
        json(stream_in),
        Arg::new("output")
            .long("output")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(Format::values()))
            .help(if stream_out {
                "How answers are written [default: jsonl, each when it arrives]"
            } else {
                "How the answer is written [default: table]"
            }),
        Arg::new("query").long("query").value_name("PROGRAM").help("Write what this jq program makes of each answer"),
        Arg::new("output-file")
            .long("output-file")
            .value_name("FIELD=PATH")
            .action(ArgAction::Append)
            .value_parser(|text: &str| -> Result<String, String> { output_file(text).map(|_| text.to_owned()) })
            .help("Write a field of bytes to a file instead, one answer after the other; - for standard output"),
        endpoint(),
        Arg::new("timeout")
            .long("timeout")
            .value_name("DURATION")
            .value_parser(|text: &str| -> Result<String, String> { timeout(text).map(|_| text.to_owned()) })
            .help("Give up after this long, such as 30s"),
        headers(),
    ];
    if stream_in {
        arguments.insert(1, each());
    }
    arguments.into_iter().map(|argument| argument.help_heading(HEADING)).collect()
}

/// Where the service is.
pub fn endpoint() -> Arg {
    Arg::new("endpoint").long("endpoint").value_name("URL").help("Where the service is, if not where it usually is")
}

/// Metadata that is sent along.
pub fn headers() -> Arg {
    Arg::new("header")
        .long("header")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| -> Result<String, String> { header(text).map(|_| text.to_owned()) })
        .help("Metadata to send along; may be given more than once")
}

fn json(stream_in: bool) -> Arg {
    let help = if stream_in {
        "The messages to send as JSON, one after the other: @FILE, - for standard input, or as they are. Flags go first, or \
         into each message"
    } else {
        "The whole request as JSON: @FILE, - for standard input, or as it is. Flags override it"
    };
    Arg::new("json").long("json").value_name("JSON").help(help)
}

fn each() -> Arg {
    Arg::new("each")
        .long("each")
        .value_name("FIELD=PATH")
        .action(ArgAction::Append)
        .conflicts_with("json")
        .help("Send each file of a folder or a pattern, or one file, in this field of bytes")
        .long_help(
            "Send a message for each file: PATH is a file, a folder (with all below it, sorted), a pattern such as \
             'photos/*.jpg', or - for standard input. FIELD is the field of bytes that holds the file; it may be left out \
             where there is only one. Other flags describe the first message, or each, as the contract has it. In their text \
             stand {path}, {name}, {stem}, {parent} and {index} for the file's path, its name, its name without extension, the \
             name of its folder and its place from 0 on. A field `id` beside it is the path, unless a flag says otherwise. A field of bytes \
             of the message itself takes a file of any size, in pieces.",
        )
}

impl Options {
    /// What the arguments of a command say.
    ///
    /// # Errors
    /// One that clap has not checked, such as an output format that the program's own flag took, is wrong.
    pub fn of(matches: &ArgMatches) -> Result<Options, String> {
        let text = |id: &str| all(matches, id).into_iter().next_back();
        Ok(Options {
            json: text("json"),
            each: all(matches, "each"),
            format: format(matches)?,
            output_file: all(matches, "output-file").iter().map(|text| output_file(text)).collect::<Result<_, _>>()?,
            query: text("query"),
            endpoint: text("endpoint"),
            timeout: text("timeout").as_deref().map(timeout).transpose()?,
            headers: all(matches, "header").iter().map(|text| header(text)).collect::<Result<_, _>>()?,
        })
    }
}

/// The texts of an argument, as they were given.
fn all(matches: &ArgMatches, id: &str) -> Vec<String> {
    let raw = matches.try_get_raw(id).ok().flatten();
    raw.into_iter().flatten().map(|text| text.to_string_lossy().into_owned()).collect()
}

/// The program may have a flag of this name itself, with fewer formats and a default, which clap hands down.
fn format(matches: &ArgMatches) -> Result<Option<Format>, String> {
    if !matches.try_contains_id("output").unwrap_or(false)
        || matches.value_source("output") == Some(ValueSource::DefaultValue)
    {
        return Ok(None);
    }
    all(matches, "output").last().map(|text| Format::named(text)).transpose()
}

fn output_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((field, path)) if !field.is_empty() && !path.is_empty() => Ok((field.to_owned(), path.into())),
        _ => Err("FIELD=PATH is accepted".to_owned()),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match time::duration(text)? {
        (seconds, nanos) if seconds >= 0 && nanos >= 0 && (seconds, nanos) != (0, 0) => {
            Ok(Duration::new(seconds.unsigned_abs(), nanos.unsigned_abs()))
        }
        _ => Err("more than 0 is accepted".to_owned()),
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is accepted")?;
    let key = key.to_lowercase().parse().map_err(|_| format!("`{key}` is no name of a header"))?;
    let value =
        HeaderValue::from_str(value).map_err(|_| "the value has characters that no header can have".to_owned())?;
    Ok((key, value))
}
