//! Why a model cannot be a backbone.

use super::{MAX_DIMENSION, MAX_WEIGHT_BYTES};

/// What an override looks like, for messages.
const OVERRIDE: &str = "name the tensors to take instead: `[detach] features = [\"tensor\"]` in the manifest";

/// Why a model cannot be a backbone.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DetachError {
    /// The bytes are no ONNX file, or a part of one.
    #[error("not an ONNX file, or a truncated one: {0}")]
    NotOnnx(String),
    /// The file holds no graph with an output.
    #[error("the ONNX file holds no graph with an output")]
    Empty,
    /// The graph contradicts itself.
    #[error("the graph is malformed: {0}")]
    Malformed(String),
    /// The nodes feed each other in a circle.
    #[error("the graph has a cycle through the node `{0}`; an ONNX graph has none")]
    Cycle(String),
    /// The graph's constants, or one of its tensors for a single image, would not fit into memory.
    #[error(
        "the tensor `{tensor}`, with the constants before it, takes {bytes} bytes; at most {MAX_WEIGHT_BYTES} are accepted"
    )]
    TooLarge {
        /// The tensor that passed the limit.
        tensor: String,
        /// Bytes up to and with it.
        bytes: u64,
    },
    /// Weights are in another file, which cannot be used.
    #[error("the weights `{tensor}` are in the file `{file}`: {reason}")]
    External {
        /// The initializer.
        tensor: String,
        /// Its file, as the graph names it.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph takes other than one input.
    #[error("the graph takes {} inputs ({}); a backbone takes one, the images", .0.len(), .0.join(", "))]
    Inputs(Vec<String>),
    /// The input holds no images.
    #[error(
        "the input `{input}` is {found}; [batch, 3, height, width] or [batch, height, width, 3] of float32 or float16 is expected"
    )]
    Input {
        /// The input.
        input: String,
        /// Its type and shape.
        found: String,
    },
    /// The images are of another size than the graph's.
    #[error("the input `{input}` takes images of {} (height × width), and the preprocessing makes {}", size(.graph), size(.given))]
    Size {
        /// The input.
        input: String,
        /// Height and width in the graph.
        graph: [u32; 2],
        /// Height and width that the preprocessing makes.
        given: [u32; 2],
    },
    /// The input's numbers are in another order than the preprocessing says.
    #[error("the input `{input}` takes [batch, 3, height, width]; leave `layout` out of the manifest, or say nchw")]
    Layout {
        /// The input.
        input: String,
    },
    /// The graph does something else than to classify images.
    #[error("no classification network: {0}; if it holds features all the same, {OVERRIDE}")]
    NotClassification(String),
    /// There is no classifier where one should be.
    #[error(
        "no classifier found: going back from the output `{output}`, {at}. If that output is a feature already, or the classifier has another form, {OVERRIDE}"
    )]
    NoClassifier {
        /// The graph's output.
        output: String,
        /// Where the walk ended, and why.
        at: String,
    },
    /// The classifier's weights are no matrix of a reasonable size.
    #[error(
        "the weights of the classifier `{node}` have the shape {shape}; a matrix of 1 to {MAX_DIMENSION} features is expected"
    )]
    Weights {
        /// The classifier.
        node: String,
        /// Its weights' shape.
        shape: String,
    },
    /// A tensor that is to be taken is not there, or does not depend on the images; perhaps others are like it.
    #[error("the graph makes no tensor `{0}` from its images{1}")]
    NoTensor(String, String),
    /// A tensor that was asked for is no feature.
    #[error("detach.features: `{tensor}` has the shape {shape}; {accepted}")]
    NoFeature {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: String,
        /// What is accepted.
        accepted: &'static str,
    },
}

fn size([height, width]: &[u32; 2]) -> String {
    format!("{height} × {width}")
}
