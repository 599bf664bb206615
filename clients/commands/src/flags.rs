//! The flags of a message: one for each field, also of the messages in it.
//!
//! A field of a message in a message is `--options.l2`, and `--l2` too where no other flag ends so. A field that is a
//! message has a flag as well, which takes it whole as JSON. Behind a repeated message, flags describe one element, which
//! is added to those given as JSON. A type is entered once more in itself; what is deeper is said in JSON.

use std::collections::{HashMap, HashSet};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::{names, value::Reading};

/// How many names a flag has at the most: `--a.b.c.d.e.f`.
const DEPTH: usize = 6;
/// How often a type may be on the way from the request to a field.
const ENTERED: usize = 2;
/// From this many flags on, messages are no longer entered: contracts of others may be of any size.
const ENOUGH: usize = 400;
/// What stands before a flag that would have the name of one that every command has.
const PREFIX: &str = "request.";

/// A flag, and where what it says goes.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The fields from the request to its own.
    pub path: Vec<FieldDescriptor>,
    /// Its name, such as `options.l2`.
    pub long: String,
    /// Its last name alone, where no other flag has it.
    pub short: Option<String>,
    /// How its text is read.
    pub reading: Reading,
    /// How many values it takes.
    pub shape: Shape,
}

/// How many values a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    One,
    /// Any number.
    List,
    /// Any number, each with a key of this kind.
    Map(Kind),
}

impl Flag {
    /// The field that it sets.
    pub fn field(&self) -> Option<&FieldDescriptor> {
        self.path.last()
    }

    /// The fields that lead to it.
    pub fn parents(&self) -> &[FieldDescriptor] {
        self.path.split_last().map_or(&[], |(_, parents)| parents)
    }

    /// Its id among the arguments of a command.
    pub fn id(&self) -> String {
        format!("field.{}", self.long)
    }
}

/// The flags of a message, parents before children, in the order of the contract. `taken` are the names that other flags of
/// the command have.
pub fn flags(message: &MessageDescriptor, taken: &HashSet<String>) -> Vec<Flag> {
    let mut walk = Walk { flags: Vec::new(), within: vec![message.full_name().to_owned()] };
    walk.enter(message, &[]);
    let mut flags = walk.flags;
    for flag in &mut flags {
        if taken.contains(&flag.long) {
            flag.long.insert_str(0, PREFIX);
        }
    }
    shorten(&mut flags, taken);
    flags
}

struct Walk {
    flags: Vec<Flag>,
    /// The types on the way here.
    within: Vec<String>,
}

impl Walk {
    fn enter(&mut self, message: &MessageDescriptor, parents: &[FieldDescriptor]) {
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(|field| field.path().last().copied());
        for field in fields {
            let path = [parents, std::slice::from_ref(&field)].concat();
            self.add(&field, path.clone());
            if let Some(inner) = self.enters(&field, &path) {
                self.within.push(inner.full_name().to_owned());
                self.enter(&inner, &path);
                self.within.pop();
            }
        }
    }

    fn add(&mut self, field: &FieldDescriptor, path: Vec<FieldDescriptor>) {
        let long = path.iter().map(|field| names::kebab(field.name())).collect::<Vec<_>>().join(".");
        let (kind, shape) = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                (entry.map_entry_value_field().kind(), Shape::Map(entry.map_entry_key_field().kind()))
            }
            kind if field.is_list() => (kind, Shape::List),
            kind => (kind, Shape::One),
        };
        self.flags.push(Flag { path, long, short: None, reading: Reading::of(&kind), shape });
    }

    fn enters(&self, field: &FieldDescriptor, path: &[FieldDescriptor]) -> Option<MessageDescriptor> {
        let Kind::Message(inner) = field.kind() else { return None };
        let times = self.within.iter().filter(|name| *name == inner.full_name()).count();
        let plain = !field.is_map() && Reading::of(&field.kind()).is_whole_message();
        (plain && times < ENTERED && path.len() < DEPTH && self.flags.len() < ENOUGH).then_some(inner)
    }
}

/// Give those flags their short form whose last name nothing else has.
fn shorten(flags: &mut [Flag], taken: &HashSet<String>) {
    let last = |flag: &Flag| flag.field().map(|field| names::kebab(field.name())).unwrap_or_default();
    let mut count: HashMap<String, usize> = HashMap::new();
    for flag in flags.iter() {
        *count.entry(last(flag)).or_default() += 1;
    }
    for flag in flags.iter_mut().filter(|flag| flag.path.len() > 1) {
        let name = last(flag);
        if count.get(&name) == Some(&1) && !taken.contains(&name) {
            flag.short = Some(name);
        }
    }
}

/// The flag that a dotted name means: all of its names, or the last ones if only one flag ends so. `a_b` is `a-b`.
///
/// # Errors
/// None, or several, which the message names.
pub fn find<'a>(flags: &[&'a Flag], name: &str) -> Result<&'a Flag, String> {
    let name = name.replace('_', "-");
    if let Some(flag) = flags.iter().find(|flag| flag.long == name) {
        return Ok(flag);
    }
    let ending = format!(".{name}");
    let found: Vec<&Flag> = flags.iter().copied().filter(|flag| flag.long.ends_with(&ending)).collect();
    match found[..] {
        [flag] => Ok(flag),
        [] => Err(format!("`{name}` is no field of bytes; {}", accepted(flags))),
        _ => Err(format!("`{name}` could be any of several; {}", accepted(&found))),
    }
}

fn accepted(flags: &[&Flag]) -> String {
    let names: Vec<&str> = flags.iter().map(|flag| flag.long.as_str()).collect();
    if names.is_empty() { "there is none".to_owned() } else { format!("{} are accepted", names.join(", ")) }
}
