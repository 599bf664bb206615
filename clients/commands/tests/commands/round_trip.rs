//! Any message becomes flags, and they become the same message again.

use std::collections::HashMap;

use graft_commands::{command, flags, options, request};
use proptest::{collection::vec, prelude::*, strategy::Union};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::support::{contract, message, sent, to_flags};

/// How deep made-up messages are at the most.
const DEPTH: usize = 4;

fn any_message(of: MessageDescriptor, depth: usize) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<FieldDescriptor> = of.fields().collect();
    let fields = fields.into_iter().filter(|field| depth < DEPTH || !matches!(field.kind(), Kind::Message(_)));
    // Few at once: otherwise each message has everything, and what depends on what is absent is never seen.
    let values: Vec<_> = fields
        .map(|field| {
            let value = any_field(&field, depth);
            (Just(field), proptest::option::weighted(0.2, value)).boxed()
        })
        .collect();
    let make = move |values: Vec<(FieldDescriptor, Option<Value>)>| {
        let mut message = DynamicMessage::new(of.clone());
        for (field, value) in values {
            if let Some(value) = value {
                message.set_field(&field, value);
            }
        }
        message
    };
    values.prop_map(make).boxed()
}

fn any_field(field: &FieldDescriptor, depth: usize) -> BoxedStrategy<Value> {
    let kind = field.kind();
    match &kind {
        Kind::Message(entry) if field.is_map() => {
            let key = any_value(&entry.map_entry_key_field().kind(), depth);
            let value = any_value(&entry.map_entry_value_field().kind(), depth);
            let map = |entries: Vec<(Value, Value)>| {
                let key = |key: Value| match key {
                    // What is before the first `=` is the key.
                    Value::String(text) => MapKey::String(text.replace('=', "")),
                    other => other.into_map_key().unwrap(),
                };
                Value::Map(entries.into_iter().map(|(name, value)| (key(name), value)).collect::<HashMap<_, _>>())
            };
            vec((key, value), 0..3).prop_map(map).boxed()
        }
        kind if field.is_list() => vec(any_value(kind, depth), 0..3).prop_map(Value::List).boxed(),
        kind => any_value(kind, depth),
    }
}

fn any_value(kind: &Kind, depth: usize) -> BoxedStrategy<Value> {
    match kind {
        Kind::Double => prop_oneof![finite(), Just(f64::INFINITY), Just(-0.0)].prop_map(Value::F64).boxed(),
        Kind::Float => proptest::num::f32::NORMAL.prop_map(Value::F32).boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => any::<i32>().prop_map(Value::I32).boxed(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => any::<i64>().prop_map(Value::I64).boxed(),
        Kind::Uint32 | Kind::Fixed32 => any::<u32>().prop_map(Value::U32).boxed(),
        Kind::Uint64 | Kind::Fixed64 => any::<u64>().prop_map(Value::U64).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => any::<String>().prop_map(Value::String).boxed(),
        Kind::Bytes => vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        Kind::Enum(of) if of.name() == "NullValue" => Just(Value::EnumNumber(0)).boxed(),
        Kind::Enum(_) => prop_oneof![Just(0), Just(1), Just(-5), any::<i32>()].prop_map(Value::EnumNumber).boxed(),
        Kind::Message(of) => any_inner(of, depth).prop_map(Value::Message).boxed(),
    }
}

fn any_inner(of: &MessageDescriptor, depth: usize) -> BoxedStrategy<DynamicMessage> {
    let from_json = |of: &MessageDescriptor, values: Vec<serde_json::Value>| {
        let values: Vec<_> = values
            .into_iter()
            .map(|value| Just(DynamicMessage::deserialize(of.clone(), value).unwrap()).boxed())
            .collect();
        Union::new(values).boxed()
    };
    let pair = |of: &MessageDescriptor, numbers: BoxedStrategy<(i64, i32)>| {
        let of = of.clone();
        let make = move |(seconds, nanos)| {
            let mut pair = DynamicMessage::new(of.clone());
            pair.set_field_by_number(1, Value::I64(seconds));
            pair.set_field_by_number(2, Value::I32(nanos));
            pair
        };
        numbers.prop_map(make).boxed()
    };
    use serde_json::json;
    match of.full_name() {
        "google.protobuf.Timestamp" => pair(of, (-62_135_596_800_i64..253_402_200_000, 0..1_000_000_000).boxed()),
        "google.protobuf.Duration" => {
            let one_sign = |(seconds, nanos): (i64, i32)| (seconds, if seconds < 0 { -nanos } else { nanos });
            pair(of, (-315_576_000_000_i64..315_576_000_000, 0..1_000_000_000).prop_map(one_sign).boxed())
        }
        "google.protobuf.FieldMask" => from_json(of, vec![json!(""), json!("name"), json!("name,inner.amountOf")]),
        "google.protobuf.Struct" => from_json(of, vec![json!({}), json!({ "a": [1.5, null, { "b": "@c" }] })]),
        "google.protobuf.ListValue" => from_json(of, vec![json!([]), json!([1.0, "a", [true]])]),
        "google.protobuf.Value" => {
            from_json(of, vec![json!(null), json!(-1.5), json!("text"), json!("1"), json!([{}]), json!({ "a": false })])
        }
        "google.protobuf.Any" => {
            from_json(of, vec![json!({ "@type": "type.googleapis.com/test.v1.Inner", "name": "x", "amount": 3 })])
        }
        _ => any_message(of.clone(), depth + 1),
    }
}

fn finite() -> impl Strategy<Value = f64> {
    proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO
}

fn there_and_back(message: &DynamicMessage) -> DynamicMessage {
    let method = contract().methods().into_iter().find(|method| method.name() == "Echo").unwrap();
    let flags = flags::flags(&method.input(), &options::taken(&[]));
    let arguments = to_flags::flags_of(message, &flags);
    let command = command::of_method(contract(), &method, &[]);
    let matches = command.try_get_matches_from(std::iter::once("echo".to_owned()).chain(arguments)).unwrap();
    let given = request::given(&flags, &matches);
    request::check_oneofs(&given, false).unwrap();
    let mut back = DynamicMessage::new(method.input());
    request::apply(&mut back, &given).unwrap();
    back
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn any_message_comes_back(made in any_message(contract().pool().get_message_by_name("test.v1.Everything").unwrap(), 0)) {
        let message = sent(&made);
        prop_assert_eq!(sent(&there_and_back(&message)), message);
    }
}

#[test]
fn what_is_there_without_saying_anything_stays_there() {
    let full = message(
        "Everything",
        serde_json::json!({
            "maybe_string": "", "maybe_bytes": "", "maybe_bool": false, "maybe_colour": "COLOUR_UNSPECIFIED",
            "maybe_int64": "0", "inner": {}, "tree": { "left": { "left": { "left": {} } } }, "by_bytes": "",
            "empty": {}, "wrapped_string": "", "wrapped_bool": false, "value": null,
        }),
    );
    let back = there_and_back(&full);
    assert_eq!(sent(&back), full);
    for name in ["maybe_string", "maybe_bool", "inner", "by_bytes", "empty", "wrapped_bool", "value"] {
        assert!(back.has_field_by_name(name), "{name}");
    }
}
