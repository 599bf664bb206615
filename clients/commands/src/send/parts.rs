//! Which flags go into which message of a stream.
//!
//! A stream whose messages are one of several things, such as options and then items, has a oneof in its request: the flags of
//! each of its fields make a message of their own, in the contract's order. Flags outside of it go into each message.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor};

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

    /// A message for each member that flags speak of, but for `without`.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn members(&self, without: Option<u32>) -> Result<Vec<DynamicMessage>, String> {
        let members = self.by_member.keys().filter(|member| Some(**member) != without);
        members.map(|member| self.message(&self.of_member(Some(*member)))).collect()
    }

    /// The messages that flags alone make.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn messages(&self) -> Result<Vec<DynamicMessage>, String> {
        if self.by_member.is_empty() && !self.plain.is_empty() {
            return Ok(vec![self.message(&self.plain)?]);
        }
        self.members(None)
    }

    fn message(&self, given: &[Given]) -> Result<DynamicMessage, String> {
        let mut message = DynamicMessage::new(self.input.clone());
        request::apply(&mut message, given)?;
        Ok(message)
    }
}
