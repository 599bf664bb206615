//! Numbers, truth values, text, and the keys of maps.

use std::{fmt::Display, str::FromStr};

use prost_reflect::{Kind, MapKey, Value};

/// The value of this kind that a text stands for.
///
/// # Errors
/// What is wrong with it, and what is accepted.
pub fn read(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Double => number(text, "a number").map(Value::F64),
        Kind::Float => number(text, "a number").map(Value::F32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => whole(text, i32::MIN, i32::MAX).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => whole(text, i64::MIN, i64::MAX).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => whole(text, u32::MIN, u32::MAX).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => whole(text, u64::MIN, u64::MAX).map(Value::U64),
        Kind::Bool => truth(text).map(Value::Bool),
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => Err("it is no scalar".to_owned()),
    }
}

/// The key of a map that a text stands for.
///
/// # Errors
/// What is wrong with it, and what is accepted.
pub fn key(kind: &Kind, text: &str) -> Result<MapKey, String> {
    let value = read(kind, text).map_err(|error| format!("the key `{text}`: {error}"))?;
    value.into_map_key().ok_or_else(|| format!("`{text}` is no key"))
}

fn number<T: FromStr>(text: &str, accepted: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{accepted} is accepted"))
}

fn whole<T: FromStr + Display>(text: &str, least: T, most: T) -> Result<T, String> {
    number(text, &format!("a whole number from {least} to {most}"))
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("`true` or `false` is accepted".to_owned()),
    }
}
