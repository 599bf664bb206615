//! Takes the classifier off a classification network: its input, the pooled feature, becomes the output.
//!
//! The walk starts at the graph's output and goes against the stream over what only reshapes or normalises the logits,
//! until it meets the matrix product that makes them. What nothing needs any more is left out.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use prost::Message;

use super::onnx::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Operators between the classifier and the output that change the logits' shape or scale, never their order.
const AFTER_CLASSIFIER: &[&str] =
    &["Softmax", "LogSoftmax", "Sigmoid", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast"];

/// The largest feature, in numbers.
const MAX_DIMENSION: usize = 65_536;

/// A network without its classifier.
#[derive(Clone, Debug)]
pub struct Detached {
    /// The ONNX file.
    pub model: Bytes,
    /// The tensor that takes the images.
    pub input: String,
    /// The tensor that gives the features: `[batch, dimension]`.
    pub feature_tensor: String,
    /// Numbers in one feature.
    pub dimension: usize,
    /// The node that was taken off.
    pub classifier_node: String,
    /// Its operator.
    pub classifier_op: String,
    /// Why it was taken to be the classifier.
    pub reason: String,
}

/// Why a model cannot be a backbone.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DetachError {
    /// The bytes are no ONNX file, or a part of one.
    #[error("not an ONNX file, or a truncated one: {0}")]
    NotOnnx(String),
    /// The file holds no graph with an output.
    #[error("the ONNX file holds no graph with an output")]
    Empty,
    /// The graph takes other than one input.
    #[error("the graph takes {} inputs ({}); a backbone takes one, the images", .0.len(), .0.join(", "))]
    Inputs(Vec<String>),
    /// There is no classifier where one should be.
    #[error(
        "no classifier found: going back from the output `{output}`, `{at}` was met before any Gemm or MatMul with constant weights"
    )]
    NoClassifier {
        /// The graph's output.
        output: String,
        /// Where the walk ended.
        at: String,
    },
    /// The classifier's weights are no matrix of a reasonable size.
    #[error(
        "the weights of the classifier `{node}` have the shape {shape:?}; a matrix of 1 to {MAX_DIMENSION} features is expected"
    )]
    Weights {
        /// The classifier.
        node: String,
        /// Its weights' shape.
        shape: Vec<i64>,
    },
}

/// Take the classifier off `model`, an ONNX file.
pub fn detach(model: Bytes) -> Result<Detached, DetachError> {
    let mut model = ModelProto::decode(model).map_err(|error| DetachError::NotOnnx(error.to_string()))?;
    let mut graph = model.graph.take().ok_or(DetachError::Empty)?;
    let input = only_input(&graph)?;
    let classifier = find_classifier(&graph)?;
    let feature_tensor = classifier.node.input[0].clone();
    let dimension = classifier.features()?;
    let (name, op) = (label(classifier.node), classifier.node.op_type().to_owned());
    let reason = classifier.reason();

    graph.output = vec![feature_output(&feature_tensor, dimension)];
    prune(&mut graph);
    model.graph = Some(graph);
    Ok(Detached {
        model: model.encode_to_vec().into(),
        input,
        feature_tensor,
        dimension,
        classifier_node: name,
        classifier_op: op,
        reason,
    })
}

/// The node that makes the logits.
struct Classifier<'a> {
    node: &'a NodeProto,
    weights: &'a TensorProto,
    output: String,
    skipped: Vec<&'a str>,
}

impl Classifier<'_> {
    /// How many features it takes: the inner dimension of its product.
    fn features(&self) -> Result<usize, DetachError> {
        let transposed = self.node.attribute.iter().any(|a| a.name() == "transB" && a.i() != 0);
        let wrong = || DetachError::Weights { node: label(self.node), shape: self.weights.dims.clone() };
        let [rows, columns] = self.weights.dims[..] else { return Err(wrong()) };
        let features = usize::try_from(if transposed { columns } else { rows }).map_err(|_| wrong())?;
        if (1..=MAX_DIMENSION).contains(&features) { Ok(features) } else { Err(wrong()) }
    }

    fn reason(&self) -> String {
        let skipped = match &self.skipped[..] {
            [] => String::new(),
            ops => format!(" behind {}", ops.join(", ")),
        };
        format!("the last {} with constant weights before the output `{}`{skipped}", self.node.op_type(), self.output)
    }
}

fn only_input(graph: &GraphProto) -> Result<String, DetachError> {
    // Old files list their weights among the inputs.
    let weights: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    let mut inputs: Vec<String> =
        graph.input.iter().map(|i| i.name().to_owned()).filter(|name| !weights.contains(name.as_str())).collect();
    match inputs.len() {
        1 => Ok(inputs.remove(0)),
        _ => Err(DetachError::Inputs(inputs)),
    }
}

fn find_classifier(graph: &GraphProto) -> Result<Classifier<'_>, DetachError> {
    let output = graph.output.first().ok_or(DetachError::Empty)?.name().to_owned();
    let weights: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|t| (t.name(), t)).collect();
    let makers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |tensor| (tensor.as_str(), node))).collect();
    let mut tensor = output.as_str();
    let mut skipped = Vec::new();
    // Each step goes to an earlier node; a malformed file may go in circles.
    for _ in 0..graph.node.len() {
        let Some(node) = makers.get(tensor) else { break };
        let constant = |index: usize| node.input.get(index).and_then(|name| weights.get(name.as_str()));
        match (node.op_type(), constant(0), constant(1)) {
            ("Gemm" | "MatMul", None, Some(weights)) => return Ok(Classifier { node, weights, output, skipped }),
            // The bias of a MatMul, on either side.
            ("Add", None, Some(_)) => tensor = &node.input[0],
            ("Add", Some(_), None) if node.input.len() == 2 => tensor = &node.input[1],
            (op, ..) if AFTER_CLASSIFIER.contains(&op) && !node.input.is_empty() => {
                skipped.push(op);
                tensor = &node.input[0];
            }
            (op, ..) => return Err(DetachError::NoClassifier { output, at: format!("{op} {}", label(node)) }),
        }
    }
    Err(DetachError::NoClassifier { at: format!("tensor {tensor}"), output })
}

/// A node's name; that of its output where it has none.
fn label(node: &NodeProto) -> String {
    match node.name() {
        "" => node.output.first().cloned().unwrap_or_default(),
        name => name.to_owned(),
    }
}

fn feature_output(name: &str, dimension: usize) -> ValueInfoProto {
    let dim = |value| Dimension { value: Some(value), ..Default::default() };
    let shape = TensorShapeProto {
        dim: vec![dim(dimension::Value::DimParam("batch".into())), dim(dimension::Value::DimValue(dimension as i64))],
    };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float as i32), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}

/// Leave out every node and weight that the outputs do not need. Nodes are in topological order, as ONNX demands.
fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    let mut kept: Vec<NodeProto> = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|tensor| needed.contains(tensor)) {
            needed.extend(node.input.iter().cloned());
            needed.extend(node.attribute.iter().filter_map(|a| a.g.as_ref()).flat_map(outer_tensors));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|weight| needed.contains(weight.name()));
    graph.sparse_initializer.retain(|w| w.values.as_ref().is_some_and(|values| needed.contains(values.name())));
    graph.input.retain(|input| needed.contains(input.name()));
    let outputs: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    graph.value_info.retain(|info| needed.contains(info.name()) && !outputs.contains(info.name()));
}

/// Every tensor that a branch or loop body names: some are the surrounding graph's.
fn outer_tensors(graph: &GraphProto) -> Vec<String> {
    graph.node.iter().flat_map(|node| node.input.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &[u8] = include_bytes!("../../backbones/efficientnet-lite0/model.onnx");

    #[test]
    fn the_default_model_loses_its_gemm_and_its_weights() {
        let detached = detach(Bytes::from_static(MODEL)).unwrap();
        assert_eq!((detached.dimension, detached.classifier_op.as_str()), (1280, "Gemm"));
        assert_eq!(detached.input, "pixel_values");
        assert!(detached.reason.contains("logits"), "{}", detached.reason);
        // The classifier is 1280 × 1000 weights and 1000 biases of 4 bytes.
        let saved = MODEL.len() - detached.model.len();
        assert!((5_100_000..5_200_000).contains(&saved), "{saved} bytes");
        let graph = ModelProto::decode(detached.model).unwrap().graph.unwrap();
        assert!(graph.node.iter().all(|node| node.op_type() != "Gemm"));
    }

    #[test]
    fn what_is_no_classification_network_is_refused() {
        assert!(matches!(detach(Bytes::from_static(b"label,pixel1\n")), Err(DetachError::NotOnnx(_))));
        assert!(matches!(detach(Bytes::from_static(&MODEL[..MODEL.len() / 2])), Err(DetachError::NotOnnx(_))));
        assert_eq!(detach(Bytes::new()).unwrap_err(), DetachError::Empty);
    }

    #[test]
    fn a_graph_whose_output_is_a_feature_already_is_not_cut_again() {
        let once = detach(Bytes::from_static(MODEL)).unwrap();
        assert!(matches!(detach(once.model), Err(DetachError::NoClassifier { .. })));
    }

    #[test]
    fn a_second_input_is_named() {
        let mut model = ModelProto::decode(Bytes::from_static(MODEL)).unwrap();
        let input = ValueInfoProto { name: Some("mask".into()), ..Default::default() };
        model.graph.as_mut().unwrap().input.push(input);
        let refused = detach(model.encode_to_vec().into()).unwrap_err();
        assert_eq!(refused, DetachError::Inputs(vec!["pixel_values".into(), "mask".into()]));
    }
}
