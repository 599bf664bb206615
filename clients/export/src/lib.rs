//! Grafts a head onto its backbone: one ONNX file, from preprocessed images to probabilities, for any ONNX Runtime.
//!
//! It opens what the services give out (`ExportBackbone`, `ExportHead`) and asks them nothing.
//!
//! # Layout
//! - [`head`]: the file of a head, as `ExportHead` gives it.
//! - `names`: tensors of the backbone that are named as ours are called otherwise.
//! - `writer`: adds nodes to a graph. `logits`: those of each kind of head; `cosine`: those that go by the angle.
//! - `describe`: what the file says of itself.

use bytes::Bytes;
use graft_onnx::{
    GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto,
    tensor_shape_proto::dimension::Value::{DimParam, DimValue},
    type_proto,
};
use graft_proto::v1::{Backbone, BackboneModel};
use prost::Message;

use self::{
    head::{HeadFile, Kind},
    writer::{Writer, int, output},
};

mod cosine;
mod describe;
pub mod head;
mod logits;
mod names;
mod writer;

/// The outputs of the file: `[images, dimension]`, `[images, labels]` and `[images, labels]`.
pub const OUTPUTS: [&str; 3] = ["embedding", "logits", "probabilities"];
/// What an ONNX file can hold, in bytes: protobuf's own limit.
const MOST_BYTES: usize = i32::MAX as usize;
/// The first version of ONNX's operators in which a vector is added to each row.
const BROADCASTS: i64 = 7;
/// The first one with `OneHot`, which nearest neighbours vote by.
const ONE_HOT: i64 = 9;

/// Why a head cannot be grafted.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    /// The head's file is none.
    #[error("the head's file: {0}")]
    Head(String),
    /// The backbone's file is none.
    #[error("the backbone's file: {0}")]
    Backbone(String),
    /// The head is of another space.
    #[error("the head is of `{head}`, but the backbone embeds into `{backbone}`; they must not be mixed")]
    Space {
        /// The head's space.
        head: String,
        /// The backbone's.
        backbone: String,
    },
    /// The backbone's operators are too old.
    #[error(
        "the backbone is written in version {found} of ONNX's operators; {needed} or newer is needed for this head"
    )]
    Operators {
        /// The version of the file.
        found: i64,
        /// The version that the head needs.
        needed: i64,
    },
    /// The file would be too large.
    #[error("backbone and head have {0} bytes together; an ONNX file holds at most {MOST_BYTES}")]
    TooLarge(usize),
}

/// The ONNX file of `head` on the backbone that `about` describes, whose own file is `backbone`.
///
/// # Errors
/// [`GraftError`] says what does not fit.
pub fn graft(about: &BackboneModel, backbone: Bytes, head: &HeadFile) -> Result<Vec<u8>, GraftError> {
    let described = about.backbone.clone().unwrap_or_default();
    fits(&described, head)?;
    let wrong = |reason: String| GraftError::Backbone(reason);
    let mut model = ModelProto::decode(backbone).map_err(|error| wrong(error.to_string()))?;
    let operators = operator_set(&model.opset_import);
    let needed = if matches!(head.kind, Kind::Neighbours(_)) { ONE_HOT } else { BROADCASTS };
    if operators < needed {
        return Err(GraftError::Operators { found: operators, needed });
    }
    let mut graph = model.graph.take().ok_or_else(|| wrong("it holds no graph".into()))?;
    names::set_apart(&mut graph);
    let [input] = &graph.input[..] else { return Err(wrong("it has not one input".into())) };
    let [feature] = &graph.output[..] else { return Err(wrong("it has not one output".into())) };
    let (input, feature) = (input.name().to_owned(), feature.name().to_owned());
    let one = described.detachment.as_ref().is_some_and(|detachment| detachment.max_batch == 1);
    write(&mut graph, &feature, operators, one, head);
    describe::describe(&mut model, &described, &input, one, head);
    model.graph = Some(graph);
    match model.encoded_len() {
        size if size > MOST_BYTES => Err(GraftError::TooLarge(size)),
        _ => Ok(model.encode_to_vec()),
    }
}

fn fits(backbone: &Backbone, head: &HeadFile) -> Result<(), GraftError> {
    if head.space != backbone.space {
        return Err(GraftError::Space { head: head.space.clone(), backbone: backbone.space.clone() });
    }
    if head.dimension != backbone.dimension as usize {
        let (found, expected) = (head.dimension, backbone.dimension);
        return Err(GraftError::Head(format!("it takes {found} numbers; embeddings of the backbone have {expected}")));
    }
    Ok(())
}

/// Add the head behind `feature`, the output so far.
fn write(graph: &mut GraphProto, feature: &str, operators: i64, one: bool, head: &HeadFile) {
    let [embedding, logits, probabilities] = OUTPUTS;
    let mut writer = Writer { graph, operators };
    writer.node("Identity", &[feature], embedding, vec![]);
    logits::write(&mut writer, &head.kind, embedding, logits);
    match head.kind {
        Kind::Sigmoid { .. } => writer.node("Sigmoid", &[logits], probabilities, vec![]),
        _ => writer.node("Softmax", &[logits], probabilities, vec![int("axis", 1)]),
    }
    if one {
        graph.input.iter_mut().for_each(one_image);
    }
    let labels = head.labels.len();
    graph.output =
        vec![output(probabilities, one, labels), output(logits, one, labels), output(embedding, one, head.dimension)];
}

/// State that a tensor is of one image: more at once would change each other's embeddings.
fn one_image(info: &mut ValueInfoProto) {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else {
        return;
    };
    let first = tensor.shape.as_mut().and_then(|shape| shape.dim.first_mut());
    if let Some(first) = first.filter(|first| matches!(first.value, Some(DimParam(_)) | None)) {
        first.value = Some(DimValue(1));
    }
}

/// The version of ONNX's own operators that a file uses.
fn operator_set(sets: &[OperatorSetIdProto]) -> i64 {
    let own = sets.iter().filter(|set| matches!(set.domain(), "" | "ai.onnx"));
    own.map(|set| set.version()).max().unwrap_or(1)
}

#[cfg(test)]
mod tests;
