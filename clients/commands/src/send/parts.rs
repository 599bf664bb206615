//! Which flags go into which message of a stream.
//!
//! A stream whose messages are one of several things, such as options and then items, has a oneof in its request: the flags of
//! each of its fields make a message of their own, in the contract's order. Where flags or files make items and nothing is said
//! of the options, they go ahead all the same, empty. Flags outside of the oneof go into each message.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::request::{self, Given};

/// The flags of a stream, by where they go.
#[derive(Clone, Debug)]
pub struct Parts {
    input: MessageDescriptor,
    /// By the number of the field of the request's oneof.
    by_member: BTreeMap<u32, Vec<Given>>,
    /// Those that go into each message.
    pub plain: Vec<Given>,
}

/// Whether a field of the request is one of several things that its messages can be.
pub fn is_member(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic())
}

impl Parts {
    /// The parts of these flags.
    pub fn of(input: &MessageDescriptor, given: Vec<Given>) -> Parts {
        let mut parts = Parts { input: input.clone(), by_member: BTreeMap::new(), plain: Vec::new() };
        for given in given {
            match given.flag.path.first().filter(|field| is_member(field)).map(FieldDescriptor::number) {
                Some(member) => parts.by_member.entry(member).or_default().push(given),
                None => parts.plain.push(given),
            }
        }
        parts
    }

    /// The flags of one member, and those for each message.
    pub fn of_member(&self, member: Option<u32>) -> Vec<Given> {
        let own = member.and_then(|member| self.by_member.get(&member)).into_iter().flatten();
        self.plain.iter().chain(own).cloned().collect()
    }

    /// The messages before those of `then`: one for each other member that flags speak of, and for the first of all members.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn before(&self, then: Option<u32>) -> Result<Vec<DynamicMessage>, String> {
        let mut parts = self.clone();
        if let Some(opening) = then.and_then(|then| self.opening(then)) {
            parts.by_member.entry(opening).or_default();
        }
        parts.by_member.retain(|member, _| Some(*member) != then);
        parts.members()
    }

    /// The member that comes first in the contract, if it is a message and another one than `then`.
    fn opening(&self, then: u32) -> Option<u32> {
        let oneof = self.input.get_field(then)?.containing_oneof().filter(|oneof| !oneof.is_synthetic())?;
        let first = oneof.fields().min_by_key(|field| field.path().last().copied())?;
        (first.number() != then && matches!(first.kind(), Kind::Message(_))).then(|| first.number())
    }

    /// A message for each member that flags speak of.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn members(&self) -> Result<Vec<DynamicMessage>, String> {
        let member = |member: &u32| {
            let mut message = self.message(&self.of_member(Some(*member)))?;
            let field = self.input.get_field(*member).filter(|field| !message.has_field(field));
            if let Some(field) = field {
                message.set_field(&field, Value::default_value(&field.kind()));
            }
            Ok(message)
        };
        self.by_member.keys().map(member).collect()
    }

    /// The messages that flags alone make.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn messages(&self) -> Result<Vec<DynamicMessage>, String> {
        if self.by_member.is_empty() && !self.plain.is_empty() {
            return Ok(vec![self.message(&self.plain)?]);
        }
        match self.by_member.last_key_value() {
            Some((last, _)) => Ok([self.before(Some(*last))?, self.only(*last).members()?].concat()),
            None => Ok(Vec::new()),
        }
    }

    fn only(&self, member: u32) -> Parts {
        let mut parts = self.clone();
        parts.by_member.retain(|other, _| *other == member);
        parts
    }

    fn message(&self, given: &[Given]) -> Result<DynamicMessage, String> {
        let mut message = DynamicMessage::new(self.input.clone());
        request::apply(&mut message, given)?;
        Ok(message)
    }
}
