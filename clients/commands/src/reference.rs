//! A contract as pages of Markdown: an index, a page a service, and one of all messages and enums.

use std::{collections::BTreeMap, fmt::Write};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

use crate::{Contract, comments, names};

/// The page of messages and enums.
const MESSAGES: &str = "messages.md";

/// The pages, each with the name of its file.
pub fn pages(contract: &Contract) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Reference\nEvery call, message and field, from the comments of the contract. Nobody edits these pages.\n\n",
    );
    index.push_str("| service | |\n| --- | --- |\n");
    for service in contract.pool().services() {
        let file = format!("{}.md", names::kebab(service.name()));
        let about = comments::first_sentence(contract.about_service(&service));
        let _ = writeln!(index, "| [`{}`]({file}) | {} |", service.full_name(), cell(about));
        pages.insert(file, of_service(contract, &service));
    }
    let _ = writeln!(index, "\nWhat they take and give: [messages and enums]({MESSAGES}).");
    pages.insert("README.md".to_owned(), index);
    pages.insert(MESSAGES.to_owned(), of_messages(contract));
    pages
}

fn of_service(contract: &Contract, service: &ServiceDescriptor) -> String {
    let mut page = format!("# {}\n", service.full_name());
    paragraphs(&mut page, contract.about_service(service));
    for method in service.methods() {
        let _ = writeln!(page, "\n## {}", method.name());
        paragraphs(&mut page, contract.about_method(&method));
        let group = names::group(service.name());
        let _ = write!(page, "\nTakes {}{}, ", stream(method.is_client_streaming()), link(&method.input()));
        let _ = writeln!(page, "gives {}{}.", stream(method.is_server_streaming()), link(&method.output()));
        let _ = writeln!(page, "On the command line: `graft {group} {}`.", names::kebab(method.name()));
    }
    page
}

fn stream(streaming: bool) -> &'static str {
    if streaming { "a stream of " } else { "" }
}

fn of_messages(contract: &Contract) -> String {
    let (mut messages, mut enums) = (BTreeMap::new(), BTreeMap::new());
    let mut next: Vec<MessageDescriptor> = contract.methods().iter().flat_map(ends).collect();
    while let Some(message) = next.pop() {
        if is_well_known(&message) || messages.contains_key(message.full_name()) {
            continue;
        }
        messages.insert(message.full_name().to_owned(), message.clone());
        for field in message.fields() {
            match inner(&field) {
                Kind::Message(message) => next.push(message),
                Kind::Enum(of) => drop(enums.insert(of.full_name().to_owned(), of)),
                _ => {}
            }
        }
    }
    let mut page = String::from("# Messages and enums\n");
    messages.values().for_each(|message| tell_message(&mut page, contract, message));
    enums.values().for_each(|of| tell_enum(&mut page, contract, of));
    page
}

fn ends(method: &MethodDescriptor) -> [MessageDescriptor; 2] {
    [method.input(), method.output()]
}

fn tell_message(page: &mut String, contract: &Contract, message: &MessageDescriptor) {
    let _ = writeln!(page, "\n## {}", message.full_name());
    paragraphs(page, contract.comments().at(&message.parent_file(), message.path()));
    if message.fields().len() == 0 {
        return;
    }
    page.push_str("\n| field | type | |\n| --- | --- | --- |\n");
    for field in message.fields() {
        let mut about = cell(contract.comments().at(&message.parent_file(), field.path()));
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
            let _ = write!(about, " (One of `{}`.)", oneof.name());
        }
        let _ = writeln!(page, "| `{}` | {} | {} |", field.name(), type_of(&field), about.trim());
    }
}

fn tell_enum(page: &mut String, contract: &Contract, of: &EnumDescriptor) {
    let _ = writeln!(page, "\n## {}", of.full_name());
    paragraphs(page, contract.comments().at(&of.parent_file(), of.path()));
    page.push_str("\n| value | number | |\n| --- | --- | --- |\n");
    for value in of.values() {
        let about = cell(contract.comments().at(&of.parent_file(), value.path()));
        let _ = writeln!(page, "| `{}` | {} | {about} |", value.name(), value.number());
    }
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            format!(
                "map of {} to {}",
                name(&entry.map_entry_key_field().kind()),
                name(&entry.map_entry_value_field().kind())
            )
        }
        kind if field.is_list() => format!("list of {}", name(&kind)),
        kind => name(&kind),
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => link(message),
        Kind::Enum(of) => format!("[`{}`]({MESSAGES}#{})", of.name(), anchor(of.full_name())),
        scalar => format!("{scalar:?}"),
    }
}

fn inner(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn link(message: &MessageDescriptor) -> String {
    if is_well_known(message) {
        return format!("`{}`", message.full_name());
    }
    format!("[`{}`]({MESSAGES}#{})", message.name(), anchor(message.full_name()))
}

fn is_well_known(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.")
}

/// As GitHub makes anchors of headings.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

fn paragraphs(page: &mut String, comment: &str) {
    if !comment.is_empty() {
        let _ = writeln!(page, "{comment}");
    }
}

/// A comment on one line of a table.
fn cell(comment: &str) -> String {
    comment.replace("\n\n", "<br>").replace('\n', "<br>").replace('|', "\\|")
}
