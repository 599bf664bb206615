//! A message as people see it: enum values without their prefix, bytes by their number, moments and durations as text.

use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};

use super::ForPrograms;
use crate::names;

/// How much of bytes is shown, in bytes.
const BEGINNING: usize = 6;

/// A value as people see it.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// One line.
    Text(String),
    /// Values one after the other.
    List(Vec<Shown>),
    /// Values with names, in their order.
    Fields(Vec<(String, Shown)>),
}

impl Shown {
    /// A message, without those of its fields that are not set.
    pub fn of_message(message: &DynamicMessage) -> Shown {
        if message.descriptor().full_name().starts_with("google.protobuf.") {
            return serde_json::to_value(ForPrograms(message))
                .map_or(Shown::Text(String::new()), |json| Shown::of_json(&json));
        }
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(|(field, _)| field.path().last().copied());
        let shown = fields.into_iter().map(|(field, value)| (field.name().to_owned(), of_value(value, &field.kind())));
        Shown::Fields(shown.collect())
    }

    /// What a query made.
    pub fn of_json(json: &serde_json::Value) -> Shown {
        use serde_json::Value as Json;
        match json {
            Json::Null => Shown::Text(String::new()),
            Json::String(text) => Shown::Text(text.clone()),
            Json::Array(values) => Shown::List(values.iter().map(Shown::of_json).collect()),
            Json::Object(fields) => {
                Shown::Fields(fields.iter().map(|(name, value)| (name.clone(), Shown::of_json(value))).collect())
            }
            other => Shown::Text(other.to_string()),
        }
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        match self {
            Shown::Text(text) => text.is_empty(),
            Shown::List(values) => values.is_empty(),
            Shown::Fields(fields) => fields.is_empty(),
        }
    }
}

fn of_value(value: &Value, kind: &Kind) -> Shown {
    Shown::Text(match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => short(bytes),
        Value::EnumNumber(number) => choice(*number, kind),
        Value::Message(message) => return Shown::of_message(message),
        Value::List(values) => return Shown::List(values.iter().map(|value| of_value(value, kind)).collect()),
        Value::Map(entries) => {
            let Kind::Message(entry) = kind else { return Shown::List(Vec::new()) };
            let kind = entry.map_entry_value_field().kind();
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| (*key).clone());
            return Shown::Fields(
                entries.into_iter().map(|(key, value)| (name(key), of_value(value, &kind))).collect(),
            );
        }
    })
}

fn short(bytes: &[u8]) -> String {
    let beginning: String = bytes.iter().take(BEGINNING).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > BEGINNING { "…" } else { "" };
    if bytes.is_empty() { "0 bytes".to_owned() } else { format!("{} bytes: {beginning}{more}", bytes.len()) }
}

fn choice(number: i32, kind: &Kind) -> String {
    let named = kind.as_enum().and_then(|of| of.get_value(number).map(|value| names::choice(of, &value)));
    named.unwrap_or_else(|| number.to_string())
}

fn name(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
