//! From JSON to messages, by the mapping that protobuf has for it. Names of fields may be those of the contract (`page_size`)
//! or those of the mapping (`pageSize`).

use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;

/// The message that a JSON object stands for.
///
/// # Errors
/// It is no JSON, or no such message.
pub fn one(message: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    from(message, value)
}

/// The messages that JSON objects stand for, one after the other or in arrays.
///
/// # Errors
/// It is no JSON, or one is no such message.
pub fn several(message: &MessageDescriptor, text: &str) -> Result<Vec<DynamicMessage>, String> {
    let mut messages = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| format!("no JSON: {error}"))? {
            // An array is several messages, unless the message itself is written as one.
            Value::Array(values) if message.full_name() != "google.protobuf.ListValue" => {
                for value in values {
                    messages.push(from(message, value)?);
                }
            }
            value => messages.push(from(message, value)?),
        }
    }
    Ok(messages)
}

/// A `google.protobuf.Value`: any JSON; what is none is text.
///
/// # Errors
/// It is nothing that the message can hold.
pub fn any(message: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    from(message, serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

/// The message that a JSON value stands for.
///
/// # Errors
/// It is no such message.
pub fn from(message: &MessageDescriptor, value: Value) -> Result<DynamicMessage, String> {
    DynamicMessage::deserialize(message.clone(), value).map_err(|error| format!("no {}: {error}", message.name()))
}
