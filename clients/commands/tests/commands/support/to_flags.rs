//! From messages to flags: what a person would have to write to make a message.

use base64::{Engine, prelude::BASE64_STANDARD};
use graft_commands::{
    flags::{Flag, Shape},
    names,
    value::Reading,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, Value};

/// The flags that make this message.
pub fn flags_of(message: &DynamicMessage, flags: &[Flag]) -> Vec<String> {
    let mut arguments = Vec::new();
    add(message, &[], flags, &mut arguments);
    arguments
}

fn add(message: &DynamicMessage, parents: &[FieldDescriptor], flags: &[Flag], arguments: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let path = [parents, std::slice::from_ref(&field)].concat();
        let flag = flags.iter().find(|flag| flag.path == path).unwrap();
        let mut say = |text: String| arguments.push(format!("--{}={text}", flag.short.as_ref().unwrap_or(&flag.long)));
        match (&flag.shape, value) {
            (Shape::List, Value::List(values)) => values.iter().for_each(|value| say(text(value, &flag.reading))),
            (Shape::Map(_), Value::Map(entries)) => {
                entries.iter().for_each(|(key, value)| say(format!("{}={}", key_text(key), text(value, &flag.reading))))
            }
            (Shape::One, Value::Message(inner)) if flag.reading.is_whole_message() => {
                let entered =
                    flags.iter().any(|deeper| deeper.path.len() == path.len() + 1 && deeper.parents() == path);
                if entered {
                    say("{}".to_owned());
                    add(inner, &path, flags, arguments);
                } else {
                    say(text(value, &flag.reading));
                }
            }
            (_, value) => say(text(value, &flag.reading)),
        }
    }
}

fn text(value: &Value, reading: &Reading) -> String {
    match (reading, value) {
        (Reading::Bytes, Value::Bytes(bytes)) => format!("base64:{}", BASE64_STANDARD.encode(bytes)),
        (Reading::Choice(of), Value::EnumNumber(number)) => {
            of.get_value(*number).map_or(number.to_string(), |value| names::choice(of, &value))
        }
        (Reading::Timestamp(_), Value::Message(message)) => {
            jiff::Timestamp::new(seconds(message), nanos(message)).unwrap().to_string()
        }
        (Reading::Duration(_), Value::Message(message)) => {
            let sign = if seconds(message) < 0 || nanos(message) < 0 { "-" } else { "" };
            format!("{sign}{}.{:09}s", seconds(message).abs(), nanos(message).abs())
        }
        (Reading::FieldMask(_), Value::Message(message)) => {
            let paths = message.get_field_by_number(1).unwrap().into_owned();
            paths.as_list().unwrap().iter().map(|path| path.as_str().unwrap()).collect::<Vec<_>>().join(",")
        }
        (Reading::Wrapper(_, inner), Value::Message(message)) => text(&message.get_field_by_number(1).unwrap(), inner),
        (Reading::Empty(_), _) => "true".to_owned(),
        (_, Value::Message(message)) => serde_json::to_string(message).unwrap(),
        (_, value) => scalar(value),
    }
}

fn seconds(message: &DynamicMessage) -> i64 {
    message.get_field_by_number(1).unwrap().as_i64().unwrap()
}

fn nanos(message: &DynamicMessage) -> i32 {
    message.get_field_by_number(2).unwrap().as_i32().unwrap()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(text) => text.clone(),
        other => panic!("{other:?} is no scalar"),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
