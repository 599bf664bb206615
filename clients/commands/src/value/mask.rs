//! Field masks.

use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

/// The mask of these paths, with commas between them: `name,options.l2`.
pub fn read(message: &MessageDescriptor, text: &str) -> DynamicMessage {
    let paths = text.split(',').map(str::trim).filter(|path| !path.is_empty());
    let paths = paths.map(|path| Value::String(path.to_owned())).collect();
    let mut mask = DynamicMessage::new(message.clone());
    mask.set_field_by_number(1, Value::List(paths));
    mask
}
