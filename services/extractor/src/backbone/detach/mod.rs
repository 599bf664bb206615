//! Takes the classifier off a classification network: its input, the pooled feature, becomes the output.
//!
//! The walk starts at the graph's output and goes against the stream over what only reshapes or normalises the logits,
//! until it meets the product with constant weights that makes them. What nothing needs any more is left out. The graph
//! that is left takes float32 images, any number of them, and gives `[batch, dimension]` of float32.
//!
//! # Layout
//! - [`index`]: who makes which tensor, in which order; [`tensors`]: constants; [`external`]: those in other files.
//! - [`dim`], [`shapes`]: the shape of every tensor, with the number of images as a symbol.
//! - [`input`]: the images. [`find`], [`quantized`]: the classifier of an output; [`choose`]: which output.
//! - [`cut`]: tensors that a manifest names instead.
//! - [`batch`], [`precision`]: what the description says of the graph.
//! - [`rewrite`]: the graph that is left; [`widen`]: a quicker form of a quantized network's first convolution.

mod batch;
mod choose;
mod cut;
mod dim;
mod error;
mod external;
mod find;
mod index;
mod input;
mod precision;
mod quantized;
mod rewrite;
mod shapes;
mod tensors;
mod widen;

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use prost::Message;

pub use batch::{Batch, BatchSize};
pub use cut::{Cut, MAX_FEATURES, Token};
pub use error::DetachError;
pub use input::Input;

pub use crate::preprocessing::Layout;
pub use precision::Precision;

use self::{
    cut::Tap,
    find::Facts,
    index::{Index, label},
    input::Found,
    precision::has_other_floats,
    rewrite::{Plan, rewrite},
    shapes::Shapes,
};
use super::onnx::{GraphProto, ModelProto, tensor_proto::DataType};

/// The largest feature, in numbers.
const MAX_DIMENSION: usize = 65_536;
/// The most bytes of weights, and of any one tensor: protobuf's own limit, and so that of ONNX files.
const MAX_WEIGHT_BYTES: u64 = i32::MAX as u64;
/// The first version of the format in which weights need not be listed among the inputs.
const WEIGHTS_APART: i64 = 4;

/// A network without its classifier.
#[derive(Clone, Debug)]
pub struct Detached {
    /// The ONNX file.
    pub model: Bytes,
    /// BLAKE3 of the file it was made of; of that hash and those of its data files, by name, if it has any.
    pub hash: blake3::Hash,
    /// The images that it takes.
    pub input: Input,
    /// The tensor that gives the features, or several, joined by ` + `.
    pub feature_tensor: String,
    /// Numbers in one feature.
    pub dimension: usize,
    /// The node that was taken off; empty if the manifest names the features.
    pub classifier_node: String,
    /// Its operator.
    pub classifier_op: String,
    /// Why it was taken to be the classifier.
    pub reason: String,
    /// How many images it takes at once.
    pub batch: Batch,
    /// What it computes in.
    pub precision: Precision,
    /// Bytes that its constants take, with the classifier's.
    pub weight_bytes: u64,
}

/// Take the classifier off `model`, an ONNX file, or cut it where `cut` says. Weights in other files are looked for in
/// `folder`.
///
/// # Errors
/// [`DetachError`] says what is wrong with the file, or why it is no classification network.
pub fn detach(model: Bytes, cut: &Cut, folder: Option<&Path>) -> Result<Detached, DetachError> {
    let file = blake3::hash(&model);
    let mut model = ModelProto::decode(model).map_err(|error| DetachError::NotOnnx(error.to_string()))?;
    let mut graph = model.graph.take().filter(|graph| !graph.output.is_empty()).ok_or(DetachError::Empty)?;
    let hash = with_data_files(file, &external::inline(&mut graph, folder)?);
    let Judgement { mut detached, plan } = judge(&graph, cut)?;
    rewrite(&mut graph, plan);
    widen::widen(&mut graph, operator_set(&model));
    rewrite::prune(&mut graph);
    detached.precision = Precision::of(&graph);
    detached.batch.judge_operators(&graph);
    detached.hash = hash;
    model.ir_version = Some(model.ir_version().max(WEIGHTS_APART));
    model.training_info.clear();
    model.graph = Some(graph);
    detached.model = model.encode_to_vec().into();
    Ok(detached)
}

/// What was found out about a graph, and what is to become of it.
struct Judgement {
    detached: Detached,
    plan: Plan,
}

fn judge(graph: &GraphProto, cut: &Cut) -> Result<Judgement, DetachError> {
    let index = Index::new(graph)?;
    let found = Found::find(&index)?;
    index.require_makers()?;
    let shapes = Shapes::of_graph(&index, (found.info.name(), found.shape()), found.batch.unwrap_or(1));
    let weight_bytes = tensors::weight_bytes(&index, &shapes, &found.input.name)?;
    let facts = Facts { index: &index, shapes: &shapes };
    let (taps, node, op, reason) = if cut.features.is_empty() {
        let (classifier, reason) = choose::choose(facts)?;
        let taps = vec![Tap::before(facts, &classifier)];
        (taps, label(classifier.node), classifier.node.op_type().to_owned(), reason)
    } else {
        (cut.taps(facts)?, String::new(), String::new(), "the manifest names the features".to_owned())
    };
    if let Some(tap) = taps.iter().find(|tap| !index.depends_on(&tap.tensor, &found.input.name)) {
        return Err(DetachError::NoTensor(tap.tensor.clone(), String::new()));
    }
    let detached = Detached {
        model: Bytes::new(),
        hash: blake3::Hash::from_bytes([0; 32]),
        input: found.input.clone(),
        feature_tensor: cut::description(&taps),
        dimension: taps.iter().map(|tap| tap.dimension).sum(),
        classifier_node: node,
        classifier_op: op,
        reason,
        batch: Batch::of(facts, found.batch, &taps),
        precision: Precision::Fp32,
        weight_bytes,
    };
    let half_input = found.element == DataType::Float16;
    let plan = Plan {
        input: found.input.name,
        half_input,
        other_floats: half_input || has_other_floats(graph),
        taps,
        edits: shapes.edits,
        order: index.order,
    };
    Ok(Judgement { detached, plan })
}

/// The version of ONNX's own operators that a file uses.
fn operator_set(model: &ModelProto) -> i64 {
    let own = model.opset_import.iter().filter(|set| matches!(set.domain(), "" | "ai.onnx"));
    own.map(|set| set.version()).max().unwrap_or(1)
}

fn with_data_files(file: blake3::Hash, data: &BTreeMap<String, blake3::Hash>) -> blake3::Hash {
    if data.is_empty() {
        return file;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(file.as_bytes());
    for hash in data.values() {
        hasher.update(hash.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &[u8] = include_bytes!("../../../backbones/efficientnet-lite0/model.onnx");

    fn cut(model: Bytes) -> Result<Detached, DetachError> {
        detach(model, &Cut::default(), None)
    }

    #[test]
    fn the_default_model_loses_its_gemm_and_its_weights() {
        let detached = cut(Bytes::from_static(MODEL)).unwrap();
        assert_eq!((detached.dimension, detached.classifier_op.as_str()), (1280, "Gemm"));
        assert_eq!((detached.input.name.as_str(), detached.input.layout), ("pixel_values", Layout::Nchw));
        assert_eq!((detached.precision, detached.batch.size), (Precision::Fp32, BatchSize::Any));
        assert!(detached.reason.contains("logits"), "{}", detached.reason);
        // The classifier is 1280 × 1000 weights and 1000 biases of 4 bytes.
        let saved = MODEL.len() - detached.model.len();
        assert!((5_100_000..5_200_000).contains(&saved), "{saved} bytes");
        let graph = ModelProto::decode(detached.model).unwrap().graph.unwrap();
        assert!(graph.node.iter().all(|node| node.op_type() != "Gemm"));
        assert_eq!(graph.output[0].name(), detached.feature_tensor);
    }

    #[test]
    fn a_truncated_model_is_refused() {
        assert!(matches!(cut(Bytes::from_static(&MODEL[..MODEL.len() / 2])), Err(DetachError::NotOnnx(_))));
    }

    #[test]
    fn a_graph_whose_output_is_a_feature_already_is_not_cut_again() {
        let once = cut(Bytes::from_static(MODEL)).unwrap();
        assert!(matches!(cut(once.model), Err(DetachError::NoClassifier { .. })));
    }
}
