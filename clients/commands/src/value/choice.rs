//! Enum values: by the name without the enum's prefix, by the full name, and by the number.

use std::ffi::OsStr;

use clap::{
    Arg, Command,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use prost_reflect::EnumDescriptor;

use crate::{
    comments::{self, Comments},
    names,
};

/// The number that a text stands for.
///
/// # Errors
/// The names that are accepted.
pub fn read(of: &EnumDescriptor, text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let named = of.values().find(|value| names::choice(of, value) == text || value.name() == text);
    named.map(|value| value.number()).ok_or_else(|| {
        let names: Vec<String> = of.values().map(|value| names::choice(of, &value)).collect();
        format!("{} are accepted", names.join(", "))
    })
}

/// What clap checks an enum's flag with: it proposes the name that was meant.
#[derive(Clone)]
pub struct Choices {
    values: Vec<PossibleValue>,
}

impl Choices {
    /// The values of an enum, with what their comments say.
    pub fn of(of: &EnumDescriptor, comments: &Comments) -> Choices {
        let value = |value: prost_reflect::EnumValueDescriptor| {
            let about = comments.at(&of.parent_file(), value.path());
            PossibleValue::new(names::choice(of, &value))
                .alias(value.name().to_owned())
                .help(comments::first_sentence(about).to_owned())
        };
        Choices { values: of.values().map(value).collect() }
    }
}

impl TypedValueParser for Choices {
    type Value = String;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        match value.to_str().filter(|text| text.parse::<i32>().is_ok()) {
            Some(number) => Ok(number.to_owned()),
            None => PossibleValuesParser::new(self.values.clone()).parse_ref(cmd, arg, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values.iter().cloned()))
    }
}
