//! From flags to messages.

use std::collections::{HashMap, HashSet};

use clap::ArgMatches;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use crate::flags::{Flag, Shape};

/// A flag that was given, with its texts.
#[derive(Clone, Debug)]
pub struct Given {
    /// The flag.
    pub flag: Flag,
    /// What was said, in its order.
    pub texts: Vec<String>,
}

/// Those flags that the command line has, whole messages before their fields.
pub fn given(flags: &[Flag], matches: &ArgMatches) -> Vec<Given> {
    let mut given: Vec<Given> = flags
        .iter()
        .filter_map(|flag| {
            let texts = matches.try_get_many::<String>(&flag.id()).ok().flatten()?;
            Some(Given { flag: flag.clone(), texts: texts.cloned().collect() })
        })
        .collect();
    given.sort_by_key(|given| given.flag.path.len());
    given
}

/// That no two flags set different fields of one oneof. Those of the request itself are none of its concern where
/// `streams`: there they are messages one after the other.
///
/// # Errors
/// The two.
pub fn check_oneofs(given: &[Given], streams: bool) -> Result<(), String> {
    let mut chosen: HashMap<String, (u32, &str)> = HashMap::new();
    for Given { flag, .. } in given {
        for (depth, field) in flag.path.iter().enumerate() {
            let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) else { continue };
            if streams && depth == 0 {
                continue;
            }
            let key = format!("{} {}", prefix(&flag.path[..depth]), oneof.full_name());
            match chosen.get(&key) {
                Some((number, other)) if *number != field.number() => {
                    let names: Vec<String> = oneof.fields().map(|field| field.name().to_owned()).collect();
                    return Err(format!(
                        "--{} cannot be used with --{other}: only one of {} can be set",
                        flag.long,
                        names.join(", ")
                    ));
                }
                Some(_) => {}
                None => {
                    chosen.insert(key, (field.number(), &flag.long));
                }
            }
        }
    }
    Ok(())
}

/// Set in `message` what the flags say.
///
/// # Errors
/// The flag whose text cannot be read, and why.
pub fn apply<'a>(message: &mut DynamicMessage, given: impl IntoIterator<Item = &'a Given>) -> Result<(), String> {
    let mut touched = HashSet::new();
    given.into_iter().try_for_each(|given| set(message, given, Some(&mut touched)))
}

/// Set in `message` what one more flag says, in the elements of lists that are there.
///
/// # Errors
/// The flag's text cannot be read.
pub fn refine(message: &mut DynamicMessage, given: &Given) -> Result<(), String> {
    set(message, given, None)
}

fn set(message: &mut DynamicMessage, given: &Given, touched: Option<&mut HashSet<String>>) -> Result<(), String> {
    let Given { flag, texts } = given;
    let Some(field) = flag.field() else { return Ok(()) };
    let set = || {
        let Some(value) = value(flag, texts)? else { return Ok(()) };
        let holder = holder(message, flag.parents(), touched)?;
        holder.try_set_field(field, value).map_err(|error| error.to_string())
    };
    set().map_err(|error: String| format!("--{}: {error}", flag.long))
}

fn value(flag: &Flag, texts: &[String]) -> Result<Option<Value>, String> {
    Ok(Some(match (&flag.shape, texts) {
        (Shape::One, [.., text]) => flag.reading.read(text)?,
        (Shape::One, []) => return Ok(None),
        (Shape::List, texts) => {
            let mut values = Vec::new();
            for text in texts {
                values.extend(flag.reading.read_several(text)?);
            }
            Value::List(values)
        }
        (Shape::Map(key), texts) => {
            let entries = texts.iter().map(|text| flag.reading.read_entry(key, text));
            Value::Map(entries.collect::<Result<_, _>>()?)
        }
    }))
}

/// The message that a path of fields leads to; it, and those on the way, are made where they are not there yet. A list that is
/// not among `touched` gets one more element; without `touched`, its last element is meant.
///
/// # Errors
/// A field on the way is no message.
pub fn holder<'a>(
    message: &'a mut DynamicMessage,
    path: &[FieldDescriptor],
    mut touched: Option<&mut HashSet<String>>,
) -> Result<&'a mut DynamicMessage, String> {
    let mut holder = message;
    for (depth, field) in path.iter().enumerate() {
        let first =
            field.is_list() && touched.as_deref_mut().is_some_and(|touched| touched.insert(prefix(&path[..=depth])));
        let value = match holder.get_field_mut(field) {
            Value::List(values) => {
                if first || values.is_empty() {
                    values.push(Value::default_value(&field.kind()));
                }
                values.last_mut().ok_or("an empty list")?
            }
            value => value,
        };
        holder = value.as_message_mut().ok_or_else(|| format!("{} is no message", field.name()))?;
    }
    Ok(holder)
}

fn prefix(path: &[FieldDescriptor]) -> String {
    path.iter().map(|field| field.number().to_string()).collect::<Vec<_>>().join(".")
}
