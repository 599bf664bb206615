//! Finds the classifier: from the output against the stream, over what only reshapes, scales or pools the logits, to
//! the product with constant weights that makes them.

use super::{
    DetachError, MAX_DIMENSION,
    dim::{Dim, Shown},
    index::{Index, int, ints, label},
    quantized,
    shapes::Shapes,
};
use crate::backbone::onnx::NodeProto;

/// Between the classifier and the output these change the logits' shape or scale, never their order.
const AFTER_CLASSIFIER: &[&str] = &[
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Cast",
    "ArgMax",
    "TopK",
    "QLinearSoftmax",
    "QuantizeLinear",
    "DequantizeLinear",
];
/// Between a pooled map and a 1×1 Conv these leave the map 1×1.
const KEEPS_PLACES: &[&str] = &[
    "Identity",
    "Dropout",
    "Cast",
    "QuantizeLinear",
    "DequantizeLinear",
    "Relu",
    "Clip",
    "HardSwish",
    "HardSigmoid",
    "Sigmoid",
    "Tanh",
    "BatchNormalization",
];
/// Pools over all places, or over windows that may be all places.
const POOLS: &[&str] = &["GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean", "QLinearGlobalAveragePool"];
/// Widths of features are multiples of this; the usual numbers of classes (1000, 1001, 21841, 21843, 10, 100) are not.
const USUAL_WIDTH: i64 = 16;

/// What a search needs to know of the graph.
#[derive(Clone, Copy)]
pub(super) struct Facts<'s, 'a> {
    pub(super) index: &'s Index<'a>,
    pub(super) shapes: &'s Shapes<'a>,
}

/// The node that makes the logits.
pub(super) struct Classifier<'a> {
    pub(super) node: &'a NodeProto,
    /// The tensor that it takes.
    pub(super) feature: Feature<'a>,
    /// Numbers in a feature.
    pub(super) dimension: usize,
    /// Operators between it and the output.
    pub(super) skipped: Vec<&'a str>,
}

/// What a classifier takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Feature<'a> {
    /// `[batch, dimension]`, perhaps with further dimensions of one.
    Flat(&'a str),
    /// `[batch, dimension, height, width]`, to be averaged.
    Map(&'a str),
    /// `[batch, dimension]` quantized: tensor, scale, zero point.
    Quantized([&'a str; 3]),
}

/// The way back from an output.
pub(super) struct Walk<'s, 'a> {
    pub(super) facts: Facts<'s, 'a>,
    output: &'a str,
    tensor: &'a str,
    skipped: Vec<&'a str>,
    pooled: bool,
    rectified: bool,
}

/// What a node on the way means.
pub(super) enum Step<'a> {
    /// It only changes the logits' form; go on with this tensor.
    On(&'a str),
    /// It is the classifier: its feature, and its weights' features and classes.
    Found(Feature<'a>, [Dim; 2]),
    /// It is neither, because.
    Stop(&'static str),
}

/// The classifier that makes `output`.
pub(super) fn classifier_of<'a>(facts: Facts<'_, 'a>, output: &'a str) -> Result<Classifier<'a>, DetachError> {
    let mut walk = Walk { facts, output, tensor: output, skipped: Vec::new(), pooled: false, rectified: false };
    // Each step goes to an earlier node of a graph without cycles.
    while let Some(node) = facts.index.maker(walk.tensor) {
        match walk.step(node) {
            Step::On(tensor) => walk.tensor = tensor,
            Step::Found(feature, weights) => return walk.classifier(node, feature, weights),
            Step::Stop(reason) => return Err(walk.lost(format!("the {} `{}` {reason}", node.op_type(), label(node)))),
        }
    }
    Err(walk.lost(format!("the tensor `{}` was met, which no node makes", walk.tensor)))
}

impl<'a> Walk<'_, 'a> {
    fn lost(&self, at: String) -> DetachError {
        DetachError::NoClassifier { output: self.output.to_owned(), at }
    }

    fn classifier(
        self,
        node: &'a NodeProto,
        feature: Feature<'a>,
        weights: [Dim; 2],
    ) -> Result<Classifier<'a>, DetachError> {
        let dimension = weights[0].fixed().and_then(|features| usize::try_from(features).ok());
        match dimension.filter(|features| (1..=MAX_DIMENSION).contains(features)) {
            Some(dimension) => Ok(Classifier { node, feature, dimension, skipped: self.skipped }),
            None => Err(DetachError::Weights { node: label(node), shape: Shown(Some(&weights)).to_string() }),
        }
    }

    fn step(&mut self, node: &'a NodeProto) -> Step<'a> {
        let op = node.op_type();
        match op {
            "Gemm" => self.gemm(node),
            "MatMul" => self.matrix_product(node),
            "Conv" => self.convolution(node),
            "QGemm" | "QLinearMatMul" | "MatMulInteger" => quantized::product(self.facts, node),
            "QLinearAdd" => quantized::shift(self.facts.index, node),
            "Add" | "Sum" | "Mul" | "Div" => self.scale_or_shift(node),
            "Relu" if self.pooled && !self.rectified => {
                self.rectified = true;
                self.skip(node, op)
            }
            "Relu" => Step::Stop("makes what looks like a feature"),
            _ if POOLS.contains(&op) => {
                self.pooled = true;
                self.skip(node, op)
            }
            _ if AFTER_CLASSIFIER.contains(&op) => self.skip(node, op),
            _ => Step::Stop("was met before any Gemm, MatMul or 1×1 Conv with constant weights"),
        }
    }

    fn skip(&mut self, node: &'a NodeProto, op: &'a str) -> Step<'a> {
        self.skipped.push(op);
        node.input.first().map_or(Step::Stop("has no input"), |tensor| Step::On(tensor))
    }

    fn gemm(&self, node: &'a NodeProto) -> Step<'a> {
        let Some((feature, [a, b])) = self.product(node) else { return Step::Stop("has no constant weights") };
        if int(node, "transA", 0) != 0 {
            return Step::Stop("transposes what it takes");
        }
        Step::Found(Feature::Flat(feature), if int(node, "transB", 0) != 0 { [b, a] } else { [a, b] })
    }

    fn matrix_product(&self, node: &'a NodeProto) -> Step<'a> {
        let Some((feature, weights)) = self.product(node) else { return Step::Stop("has no constant weights") };
        // More than one row for an image: a head for each token or place.
        let rows = self.facts.shapes.get(feature).and_then(|shape| shape.get(1..shape.len().checked_sub(1)?));
        if rows.unwrap_or_default().iter().any(|rows| *rows != Dim::Fixed(1)) {
            return Step::Stop("is applied to many tokens or places of an image");
        }
        Step::Found(Feature::Flat(feature), weights)
    }

    /// What a product takes, and the shape of its constant weights.
    fn product(&self, node: &'a NodeProto) -> Option<(&'a str, [Dim; 2])> {
        let [feature, weights] = node.input.get(..2)? else { return None };
        let fine = !self.facts.index.is_constant(feature) && self.facts.index.is_constant(weights);
        match self.facts.shapes.get(weights) {
            Some([a, b]) if fine => Some((feature, [*a, *b])),
            _ => None,
        }
    }

    /// Bias, or temperature: one side is constant. What quantized products multiply with depends on their input.
    fn scale_or_shift(&mut self, node: &'a NodeProto) -> Step<'a> {
        let index = self.facts.index;
        let [a, b] = &node.input[..] else { return Step::Stop("has other than two inputs") };
        let (logits, constant) = match (index.is_constant(a), index.is_constant(b)) {
            (false, true) => (a, b),
            (true, false) if node.op_type() != "Div" => (b, a),
            (false, false) if node.op_type() == "Mul" => {
                return quantized::scaled_product(index, [a, b]).map_or(Step::Stop("joins two branches"), Step::On);
            }
            _ => return Step::Stop("joins two branches"),
        };
        let scalar =
            || self.facts.shapes.get(constant).is_some_and(|shape| shape.iter().all(|dim| *dim == Dim::Fixed(1)));
        if matches!(node.op_type(), "Mul" | "Div") && !scalar() {
            return Step::Stop("scales each number by its own factor, as a normalisation does");
        }
        Step::On(logits)
    }

    /// A 1×1 Conv is a classifier if all places are pooled after it, or were before it.
    fn convolution(&self, node: &'a NodeProto) -> Step<'a> {
        let index = self.facts.index;
        let Some([feature, weights]) = node.input.get(..2) else { return Step::Stop("has no weights") };
        let Some([classes, features, kernel @ ..]) = self.facts.shapes.get(weights) else {
            return Step::Stop("has weights of unknown shape");
        };
        let point = kernel.iter().all(|size| *size == Dim::Fixed(1)) && int(node, "group", 1) == 1;
        let plain = |name: &str, all: i64| ints(node, name).is_none_or(|list| list.iter().all(|value| *value == all));
        if !point || !plain("pads", 0) || !index.is_constant(weights) || index.is_constant(feature) {
            return Step::Stop("is no 1×1 Conv with constant weights");
        }
        if !self.pooled {
            let one_place = self.has_one_place(feature);
            return if one_place {
                Step::Found(Feature::Map(feature), [*features, *classes])
            } else {
                Step::Stop("makes a map, and nothing pools it")
            };
        }
        // Networks without their classifier may end just so: a 1×1 Conv, an activation and a pool.
        let named = self.skipped.iter().any(|op| matches!(*op, "Softmax" | "LogSoftmax"));
        let dropped = index.maker(feature).is_some_and(|maker| maker.op_type() == "Dropout");
        if named || dropped || classes.fixed().is_some_and(|classes| classes % USUAL_WIDTH != 0) {
            return Step::Found(Feature::Map(feature), [*features, *classes]);
        }
        Step::Stop("and the pool after it may be a classifier as well as the end of a network without one")
    }

    fn has_one_place(&self, tensor: &'a str) -> bool {
        let known = self.facts.shapes.get(tensor).and_then(|shape| shape.get(2..));
        if known.is_some_and(|places| places.iter().all(|dim| *dim == Dim::Fixed(1))) {
            return true;
        }
        let mut tensor = tensor;
        while let Some(node) = self.facts.index.maker(tensor) {
            if matches!(node.op_type(), "GlobalAveragePool" | "GlobalMaxPool") {
                return true;
            }
            match node.input.first().filter(|_| KEEPS_PLACES.contains(&node.op_type())) {
                Some(input) => tensor = input,
                None => return false,
            }
        }
        false
    }
}
