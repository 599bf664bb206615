//! From text to values.
//!
//! # Layout
//! - Here: how a field's text is read. [`scalar`]: numbers, truth values, keys of maps. [`choice`]: enum values.
//!   [`source`]: `@FILE`, `-` and bytes. [`time`]: moments and durations. [`mask`]: field masks.

use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::json;

pub mod choice;
pub mod mask;
pub mod scalar;
pub mod source;
pub mod time;

/// The messages around one value, which is their field 1.
const WRAPPERS: [&str; 9] = [
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int64Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Int32Value",
    "google.protobuf.UInt32Value",
    "google.protobuf.BoolValue",
    "google.protobuf.StringValue",
    "google.protobuf.BytesValue",
];

/// How the text of a flag becomes a value.
#[derive(Clone, Debug)]
pub enum Reading {
    /// A number, a truth value or text.
    Scalar(Kind),
    /// The name or number of an enum's value.
    Choice(EnumDescriptor),
    /// Bytes: `@FILE`, `-`, `base64:…`, or text.
    Bytes,
    /// A moment: RFC 3339, `now`, `2h ago`.
    Timestamp(MessageDescriptor),
    /// A duration: `1h30m`, `250ms`.
    Duration(MessageDescriptor),
    /// Paths of fields, with commas between them.
    FieldMask(MessageDescriptor),
    /// A message around one value, which is read as that.
    Wrapper(MessageDescriptor, Box<Reading>),
    /// A message without fields, which is there or not.
    Empty(MessageDescriptor),
    /// Any JSON; what is none is text.
    AnyJson(MessageDescriptor),
    /// A message as JSON: `@FILE`, `-`, or as it is.
    Json(MessageDescriptor),
}

impl Reading {
    /// How values of this kind are read.
    pub fn of(kind: &Kind) -> Reading {
        match kind {
            Kind::Enum(of) => Reading::Choice(of.clone()),
            Kind::Bytes => Reading::Bytes,
            Kind::Message(message) => of_message(message),
            scalar => Reading::Scalar(scalar.clone()),
        }
    }

    /// Whether it is a message that has flags for its fields.
    pub fn is_whole_message(&self) -> bool {
        matches!(self, Reading::Json(message) if !message.full_name().starts_with("google.protobuf."))
    }

    /// Whether it is true or false, or there or not: a flag that needs no value.
    pub fn is_switch(&self) -> bool {
        match self {
            Reading::Scalar(Kind::Bool) | Reading::Empty(_) => true,
            Reading::Wrapper(_, inner) => inner.is_switch(),
            _ => false,
        }
    }

    /// Whether several values may stand in one argument, with commas between them: no value of the kind has a comma.
    pub fn takes_commas(&self) -> bool {
        match self {
            Reading::Scalar(kind) => *kind != Kind::String,
            Reading::Choice(_) | Reading::Duration(_) => true,
            Reading::Wrapper(_, inner) => inner.takes_commas(),
            _ => false,
        }
    }

    /// Whether reading it reads files or standard input, and so waits until the call is made.
    pub fn is_source(&self) -> bool {
        match self {
            Reading::Bytes | Reading::Json(_) | Reading::AnyJson(_) => true,
            Reading::Wrapper(_, inner) => inner.is_source(),
            _ => false,
        }
    }

    /// The value that a text stands for.
    ///
    /// # Errors
    /// What is wrong with it, and what is accepted.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        match self {
            Reading::Scalar(kind) => scalar::read(kind, text),
            Reading::Choice(of) => choice::read(of, text).map(Value::EnumNumber),
            Reading::Bytes => source::bytes(text).map(Value::Bytes),
            Reading::Timestamp(message) => time::timestamp(text).map(|(seconds, nanos)| pair(message, seconds, nanos)),
            Reading::Duration(message) => time::duration(text).map(|(seconds, nanos)| pair(message, seconds, nanos)),
            Reading::FieldMask(message) => Ok(Value::Message(mask::read(message, text))),
            Reading::Wrapper(message, inner) => Ok(Value::Message(wrap(message, inner.read(text)?))),
            Reading::Empty(message) => match text {
                "true" => Ok(Value::Message(DynamicMessage::new(message.clone()))),
                _ => Err("only `true` is accepted: it has no fields".to_owned()),
            },
            Reading::AnyJson(message) => json::any(message, &source::text(text)?).map(Value::Message),
            Reading::Json(message) => json::one(message, &source::text(text)?).map(Value::Message),
        }
    }

    /// The values of a list that a text stands for: JSON may hold several.
    ///
    /// # Errors
    /// What is wrong with it, and what is accepted.
    pub fn read_several(&self, text: &str) -> Result<Vec<Value>, String> {
        match self {
            Reading::Json(message) => {
                Ok(json::several(message, &source::text(text)?)?.into_iter().map(Value::Message).collect())
            }
            _ => Ok(vec![self.read(text)?]),
        }
    }

    /// The entry of a map that `KEY=VALUE` stands for.
    ///
    /// # Errors
    /// What is wrong with it, and what is accepted.
    pub fn read_entry(&self, key: &Kind, text: &str) -> Result<(MapKey, Value), String> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`; KEY=VALUE is accepted"))?;
        Ok((scalar::key(key, name)?, self.read(value)?))
    }

    /// What its help calls it.
    pub fn placeholder(&self) -> String {
        match self {
            Reading::Scalar(Kind::String) => "TEXT".to_owned(),
            Reading::Scalar(kind) => format!("{kind:?}").to_uppercase(),
            Reading::Choice(of) => crate::names::kebab(of.name()).to_uppercase(),
            Reading::Bytes => "BYTES".to_owned(),
            Reading::Timestamp(_) => "TIME".to_owned(),
            Reading::Duration(_) => "DURATION".to_owned(),
            Reading::FieldMask(_) => "FIELDS".to_owned(),
            Reading::Wrapper(_, inner) => inner.placeholder(),
            Reading::Empty(_) => "BOOL".to_owned(),
            Reading::AnyJson(_) | Reading::Json(_) => "JSON".to_owned(),
        }
    }
}

fn of_message(message: &MessageDescriptor) -> Reading {
    let message = message.clone();
    match message.clone().full_name() {
        "google.protobuf.Timestamp" => Reading::Timestamp(message),
        "google.protobuf.Duration" => Reading::Duration(message),
        "google.protobuf.FieldMask" => Reading::FieldMask(message),
        "google.protobuf.Empty" => Reading::Empty(message),
        "google.protobuf.Value" => Reading::AnyJson(message),
        name => match message.get_field(1) {
            Some(inner) if WRAPPERS.contains(&name) => Reading::Wrapper(message, Box::new(Reading::of(&inner.kind()))),
            _ => Reading::Json(message),
        },
    }
}

/// A timestamp or a duration.
fn pair(message: &MessageDescriptor, seconds: i64, nanos: i32) -> Value {
    let mut pair = DynamicMessage::new(message.clone());
    pair.set_field_by_number(1, Value::I64(seconds));
    pair.set_field_by_number(2, Value::I32(nanos));
    Value::Message(pair)
}

fn wrap(message: &MessageDescriptor, value: Value) -> DynamicMessage {
    let mut wrapper = DynamicMessage::new(message.clone());
    wrapper.set_field_by_number(1, value);
    wrapper
}
