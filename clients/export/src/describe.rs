//! What the file says of itself.

use graft_onnx::{ModelProto, StringStringEntryProto};
use graft_proto::v1::{Backbone, Preprocessing};
use serde_json::{Value, json};

use crate::head::{HeadFile, Kind};

/// Note in `model` what it is: whose head, of which labels, and what is to be done to an image for the tensor `input`.
pub fn describe(model: &mut ModelProto, backbone: &Backbone, input: &str, one: bool, head: &HeadFile) {
    let preprocessing = backbone.preprocessing.clone().unwrap_or_default();
    let mut notes = vec![
        ("head", head.name.clone()),
        ("kind", head.kind.name().to_owned()),
        ("labels", Value::from(head.labels.clone()).to_string()),
        ("backbone", backbone.name.clone()),
        ("space", head.space.clone()),
        ("precision", backbone.precision.clone()),
        ("preprocessing", options(&preprocessing).to_string()),
        ("graft_version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    if let Kind::Sigmoid { thresholds, .. } = &head.kind {
        notes.push(("thresholds", numbers(thresholds).to_string()));
    }
    model.metadata_props.retain(|entry| notes.iter().all(|(key, _)| entry.key() != *key));
    model.metadata_props.extend(
        notes.into_iter().map(|(key, value)| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) }),
    );
    model.producer_name = Some("graft".to_owned());
    model.producer_version = Some(env!("CARGO_PKG_VERSION").to_owned());
    model.doc_string = Some(sentences(&preprocessing, input, one, head));
}

/// How an image is to be prepared, for a person.
fn sentences(preprocessing: &Preprocessing, input: &str, one: bool, head: &HeadFile) -> String {
    let Preprocessing { crop_height: height, crop_width: width, mean, std, .. } = preprocessing;
    let images = if one { "1" } else { "batch" };
    let shape = match preprocessing.layout.as_str() {
        "nhwc" => format!("[{images}, {height}, {width}, 3]"),
        _ => format!("[{images}, 3, {height}, {width}]"),
    };
    let resize = match preprocessing.resize_shorter_side {
        0 => format!("Resize to {} x {} pixels", preprocessing.resize_width, preprocessing.resize_height),
        side => format!("Resize the shorter side to {side} pixels, the longer one in proportion"),
    };
    let levels = match preprocessing.scale.as_str() {
        "symmetric" => "turn levels of 0 to 255 into -1 to 1",
        "raw" => "leave levels as they are, 0 to 255",
        _ => "turn levels of 0 to 255 into 0 to 1",
    };
    let order = if preprocessing.channels == "bgr" { "blue, green, red" } else { "red, green, blue" };
    let answers = match head.kind {
        Kind::Sigmoid { .. } => "each label's own; a label applies from its threshold on (metadata `thresholds`)",
        _ => "those of all labels add up to 1",
    };
    format!(
        "Classifier {} by Graft. Input `{input}`: float32 {shape}. {resize} ({}, antialiased as Pillow does it), take the centre \
         {width} x {height}, {levels}, subtract the mean {} and divide by the standard deviation {} of red, green and blue; \
         channels in the order {order}. Output `probabilities`: {answers}; the labels are in the metadata, in their order.",
        head.name,
        preprocessing.interpolation,
        numbers(mean),
        numbers(std),
    )
}

/// The same for a program.
fn options(preprocessing: &Preprocessing) -> Value {
    json!({
        "resize_shorter_side": preprocessing.resize_shorter_side,
        "resize_height": preprocessing.resize_height,
        "resize_width": preprocessing.resize_width,
        "interpolation": preprocessing.interpolation,
        "crop_height": preprocessing.crop_height,
        "crop_width": preprocessing.crop_width,
        "scale": preprocessing.scale,
        "mean": numbers(&preprocessing.mean),
        "std": numbers(&preprocessing.std),
        "channels": preprocessing.channels,
        "layout": preprocessing.layout,
    })
}

/// As JSON with as many digits as single precision has.
fn numbers(values: &[f32]) -> Value {
    values.iter().map(|value| value.to_string().parse::<f64>().map_or(Value::Null, Value::from)).collect()
}
