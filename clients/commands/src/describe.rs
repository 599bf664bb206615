//! A contract as text: which calls there are, and what one of them takes and gives.

use std::fmt::Write;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use crate::{Contract, command, comments};

/// Every call, and the first sentence of what is said of it.
pub fn list(contract: &Contract) -> String {
    let calls: Vec<(String, &str)> = contract
        .methods()
        .iter()
        .map(|method| (full_name(method), comments::first_sentence(contract.about_method(method))))
        .collect();
    let width = calls.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    calls.iter().map(|(name, about)| format!("{name:width$}  {about}").trim_end().to_owned() + "\n").collect()
}

/// A call with its comment, and the messages that it takes and gives, in the words of the contract.
pub fn describe(contract: &Contract, method: &MethodDescriptor) -> String {
    let mut text = String::new();
    comment(&mut text, "", contract.about_method(method));
    text += &command::signature(method);
    text.push('\n');
    let mut told: Vec<MessageDescriptor> = Vec::new();
    let mut next = vec![method.output(), method.input()];
    while let Some(message) = next.pop() {
        if told.contains(&message) || message.full_name().starts_with("google.protobuf.") {
            continue;
        }
        text.push('\n');
        tell(&mut text, contract, &message);
        next.extend(message.fields().filter_map(|field| inner(&field)).collect::<Vec<_>>().into_iter().rev());
        told.push(message);
    }
    text
}

/// `graft.v1.HeadService/GetHead`.
pub fn full_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn tell(text: &mut String, contract: &Contract, message: &MessageDescriptor) {
    comment(text, "", contract.comments().at(&message.parent_file(), message.path()));
    let _ = writeln!(text, "message {} {{", message.full_name());
    for field in message.fields() {
        comment(text, "  ", contract.comments().at(&message.parent_file(), field.path()));
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let oneof = oneof.map(|oneof| format!("  // one of {}", oneof.name())).unwrap_or_default();
        let _ = writeln!(text, "  {} {} = {};{oneof}", type_of(&field), field.name(), field.number());
    }
    text.push_str("}\n");
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            format!("map<{:?}, {:?}>", entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind())
        }
        kind if field.is_list() => format!("repeated {}", name(&kind)),
        kind if field.supports_presence()
            && !matches!(kind, Kind::Message(_))
            && field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic()) =>
        {
            format!("optional {}", name(&kind))
        }
        kind => name(&kind),
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(of) => {
            let values: Vec<String> = of.values().map(|value| crate::names::choice(of, &value)).collect();
            format!("{}({})", of.full_name(), values.join("|"))
        }
        scalar => format!("{scalar:?}"),
    }
}

fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => match entry.map_entry_value_field().kind() {
            Kind::Message(message) => Some(message),
            _ => None,
        },
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

fn comment(text: &mut String, indent: &str, comment: &str) {
    for line in comment.lines().filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "{indent}// {line}");
    }
}
