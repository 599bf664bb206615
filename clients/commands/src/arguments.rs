//! A flag as clap has it: type, values, default, help.

use clap::{Arg, ArgAction, builder::ValueParser};
use prost_reflect::{FieldDescriptor, Kind, Value};

use crate::{
    comments::{self, Comments},
    flags::{Flag, Shape},
    names,
    value::{Reading, choice::Choices, scalar, source},
};

/// The heading above the fields of a request in its help.
const HEADING: &str = "Fields of the request";

/// The argument that a flag is.
pub fn argument(flag: &Flag, comments: &Comments) -> Arg {
    let mut arg =
        Arg::new(flag.id()).long(flag.long.clone()).help_heading(HEADING).value_parser(parser(flag, comments));
    if let Some(short) = &flag.short {
        arg = arg.visible_alias(short.clone());
    }
    let (help, long_help) = help(flag, comments);
    arg = arg.help(help).long_help(long_help);
    match &flag.shape {
        Shape::Map(_) => arg.action(ArgAction::Append).value_name("KEY=VALUE"),
        Shape::List => {
            arg = arg.action(ArgAction::Append).value_name(flag.reading.placeholder()).allow_negative_numbers(true);
            if flag.reading.takes_commas() { arg.value_delimiter(',') } else { arg }
        }
        Shape::One if flag.reading.is_switch() => arg
            .action(ArgAction::Set)
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true),
        Shape::One => arg.action(ArgAction::Set).value_name(flag.reading.placeholder()).allow_negative_numbers(true),
    }
}

/// All arguments are text to clap; what reads no file is checked at once.
fn parser(flag: &Flag, comments: &Comments) -> ValueParser {
    if let (Reading::Choice(of), Shape::One | Shape::List) = (&flag.reading, &flag.shape) {
        return ValueParser::new(Choices::of(of, comments));
    }
    let (reading, shape) = (flag.reading.clone(), flag.shape.clone());
    ValueParser::from(move |text: &str| -> Result<String, String> {
        match &shape {
            Shape::Map(key) if reading.is_source() => {
                let (name, _) = text.split_once('=').ok_or("KEY=VALUE is accepted")?;
                scalar::key(key, name).map(|_| ())?;
            }
            Shape::Map(key) => reading.read_entry(key, text).map(|_| ())?,
            _ if reading.is_source() => {}
            _ => reading.read(text).map(|_| ())?,
        }
        Ok(text.to_owned())
    })
}

/// The first sentence of the comment, and the whole of it with what is true of the field.
fn help(flag: &Flag, comments: &Comments) -> (String, String) {
    let Some(field) = flag.field() else { return Default::default() };
    let comment = comments.at(&field.parent_message().parent_file(), field.path());
    let mut long = vec![comment.to_owned()];
    long.extend(takes(flag));
    long.extend(alone(flag, field));
    long.extend(default(flag, field).map(|default| format!("Default: {default}.")));
    long.retain(|part| !part.is_empty());
    (comments::first_sentence(comment).to_owned(), long.join("\n"))
}

/// What it takes, where its type does not say it.
fn takes(flag: &Flag) -> Option<String> {
    let each = match &flag.reading {
        Reading::Bytes => source::BYTES,
        Reading::Timestamp(_) => "RFC 3339, a date, `now`, `2h ago`, `in 30m`",
        Reading::Duration(_) => "a duration such as 1h30m or 250ms",
        Reading::FieldMask(_) => "paths of fields with commas between them",
        Reading::AnyJson(_) => "JSON, or text; @FILE, - for standard input",
        Reading::Json(_) => "JSON, @FILE, or - for standard input",
        Reading::Wrapper(_, inner) if matches!(**inner, Reading::Bytes) => source::BYTES,
        _ => "",
    };
    let often = match flag.shape {
        Shape::One => "",
        Shape::List if flag.reading.takes_commas() => "may be given more than once, or with commas",
        Shape::List | Shape::Map(_) => "may be given more than once",
    };
    let says: Vec<&str> = [each, often].into_iter().filter(|text| !text.is_empty()).collect();
    (!says.is_empty()).then(|| format!("Takes {}.", says.join("; ")).replace("Takes may", "May"))
}

/// The fields beside it of which only one can be set.
fn alone(flag: &Flag, field: &FieldDescriptor) -> Option<String> {
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic())?;
    let prefix = flag.long.strip_suffix(&names::kebab(field.name())).unwrap_or_default();
    let names: Vec<String> = oneof.fields().map(|other| format!("--{prefix}{}", names::kebab(other.name()))).collect();
    Some(format!("One of {}.", names.join(", ")))
}

/// What the field is where nothing is said.
fn default(flag: &Flag, field: &FieldDescriptor) -> Option<String> {
    if flag.shape != Shape::One || field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
        return None;
    }
    if field.supports_presence() && field.field_descriptor_proto().default_value.is_none() {
        return Some("not set".to_owned());
    }
    Some(match (field.default_value(), field.kind()) {
        (Value::EnumNumber(number), Kind::Enum(of)) => {
            of.get_value(number).map_or(number.to_string(), |value| names::choice(&of, &value))
        }
        (Value::Bool(value), _) => value.to_string(),
        (Value::I32(value), _) => value.to_string(),
        (Value::I64(value), _) => value.to_string(),
        (Value::U32(value), _) => value.to_string(),
        (Value::U64(value), _) => value.to_string(),
        (Value::F32(value), _) => value.to_string(),
        (Value::F64(value), _) => value.to_string(),
        (Value::String(text), _) if !text.is_empty() => text,
        _ => "empty".to_owned(),
    })
}
