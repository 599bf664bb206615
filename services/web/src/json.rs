//! A message in JSON and in protobuf, by its descriptor and protobuf's own rules for JSON.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde::de::DeserializeSeed;
use serde_path_to_error::{Path, Segment, Track};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::messages::Text;

/// Characters of a reason that are told; it may quote what came.
const REASON: usize = 160;
/// The same of a field's path.
const PATH: usize = 80;
/// What prost-reflect says of a name that is no field's, with the name behind it.
const NO_FIELD: &str = "unrecognized field name ";
/// The same of one that is no value's of an enum.
const NO_VALUE: &str = "unrecognized enum value ";
/// Names of fields or values that are told as accepted.
const NAMES: usize = 20;

/// The message, encoded.
pub(crate) fn to_protobuf(kind: MessageDescriptor, text: &Text) -> Result<Bytes, Status> {
    let mut json = serde_json::Deserializer::from_slice(&text.json);
    let mut track = Track::new();
    let read = kind.clone().deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let message = read.map_err(|error| wrong(&kind, &track.path(), text, &error))?;
    json.end().map_err(|error| wrong(&kind, &Track::new().path(), text, &error))?;
    Ok(message.encode_to_vec().into())
}

/// The message in JSON, with `after` behind it.
pub(crate) fn of_protobuf(kind: MessageDescriptor, encoded: Bytes, after: &str) -> Result<Bytes, Status> {
    let name = kind.full_name().to_owned();
    let fault = |error: String| Status::internal(format!("the answer cannot be written as JSON: {name}: {error}"));
    let message = DynamicMessage::decode(kind, encoded).map_err(|error| fault(error.to_string()))?;
    let mut json = serde_json::to_vec(&message).map_err(|error| fault(error.to_string()))?;
    json.extend_from_slice(after.as_bytes());
    Ok(json.into())
}

/// What is wrong where: the field, the reason, what is accepted, the position.
fn wrong(kind: &MessageDescriptor, path: &Path, text: &Text, error: &serde_json::Error) -> Status {
    let said = error.to_string();
    let reason = said.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())).unwrap_or(&said);
    let mut field = path.to_string();
    // The path of a name that is not known ends above it.
    if let Some(name) = reason.strip_prefix(NO_FIELD) {
        let above = if field == "." { String::new() } else { field + "." };
        field = above + name.trim_matches('\'');
    }
    let mut told = shortened(reason, REASON);
    if let Some(accepted) = accepted(kind, path, reason) {
        told += &format!("; accepted are {accepted}");
    }
    let line = text.line.unwrap_or(error.line() as u64);
    told += &format!(" (line {line}, column {})", error.column());
    if field == "." {
        return Status::invalid_argument(format!("the message is not JSON of {}: {told}", kind.full_name()));
    }
    let field = shortened(&field, PATH);
    let details = ErrorDetails::with_bad_request_violation(field.clone(), told.clone());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {told}"), details)
}

/// The names that are accepted where one is not.
fn accepted(kind: &MessageDescriptor, path: &Path, reason: &str) -> Option<String> {
    let path: Vec<&Segment> = path.iter().collect();
    let names: Vec<String> = if reason.starts_with(NO_FIELD) {
        message_at(kind, &path)?.fields().map(|field| field.json_name().to_owned()).collect()
    } else if reason.starts_with(NO_VALUE) {
        let Kind::Enum(kind) = field_at(kind, &path)?.kind() else { return None };
        kind.values().map(|value| value.name().to_owned()).collect()
    } else {
        return None;
    };
    if names.is_empty() {
        return Some("none".to_owned());
    }
    let more = if names.len() > NAMES { ", …" } else { "" };
    Some(names[..names.len().min(NAMES)].join(", ") + more)
}

/// The message that a path leads to.
fn message_at(kind: &MessageDescriptor, path: &[&Segment]) -> Option<MessageDescriptor> {
    if path.is_empty() {
        return Some(kind.clone());
    }
    let field = field_at(kind, path)?;
    let kind = field.kind();
    let message = kind.as_message()?;
    if message.is_map_entry() {
        message.map_entry_value_field().kind().as_message().cloned()
    } else {
        Some(message.clone())
    }
}

/// The field that a path leads to, or whose item or entry it leads to.
fn field_at(kind: &MessageDescriptor, path: &[&Segment]) -> Option<FieldDescriptor> {
    let mut kind = kind.clone();
    let mut found: Option<FieldDescriptor> = None;
    for segment in path {
        let Segment::Map { key } = segment else { continue };
        match &found {
            // A key of a map, and not of a message.
            Some(field) if field.is_map() => {
                let value = field.kind().as_message()?.map_entry_value_field();
                kind = value.kind().as_message().cloned().unwrap_or(kind);
                found = Some(value);
                continue;
            }
            Some(field) => kind = field.kind().as_message()?.clone(),
            None => {}
        }
        found = Some(kind.get_field_by_json_name(key).or_else(|| kind.get_field_by_name(key))?);
    }
    found
}

fn shortened(text: &str, most: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(most)
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
