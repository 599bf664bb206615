//! Shapes of all tensors, worked out forwards from the input, with the number of images as a symbol.
//!
//! Where the file fixed that number, a Reshape may name it, or a class token may be there once; both are noted as
//! [`Edit`]s, and the shapes are those after the edits. Whatever no rule knows stays unknown, which is never wrong.

mod arrange;
mod combine;
mod spatial;
mod values;

use std::collections::HashMap;

use super::{
    dim::{Dim, MAX_RANK, Shape},
    index::{self, Index},
    tensors,
};
use crate::backbone::onnx::{GraphProto, NodeProto, type_proto};

/// What must change so that a graph takes any number of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// The Reshape at this place gets this shape.
    Reshape { node: usize, shape: Vec<i64> },
    /// The node at this place gets its input number `input`, which has `rank` dimensions, repeated for each of the
    /// images of `like`, whose first dimension is their number.
    Repeat { node: usize, input: usize, rank: usize, like: String },
}

/// What is known of the tensors.
pub(super) struct Shapes<'a> {
    dims: HashMap<&'a str, Shape>,
    /// What small integer tensors hold.
    values: HashMap<&'a str, Shape>,
    pub(super) edits: Vec<Edit>,
}

/// A node with what is known of its inputs.
struct Known<'s, 'a> {
    node: &'a NodeProto,
    place: usize,
    shapes: &'s Shapes<'a>,
    /// The number of images that the file fixes; 1 if it fixes none.
    native: i64,
}

impl<'a> Shapes<'a> {
    /// Work out the shapes, given that of the input. `native` images are what the file was made for.
    pub(super) fn of_graph(index: &Index<'a>, input: (&'a str, Shape), native: i64) -> Shapes<'a> {
        let mut shapes = Shapes { dims: HashMap::new(), values: HashMap::new(), edits: Vec::new() };
        shapes.dims.insert(input.0, input.1);
        for tensor in &index.graph.initializer {
            shapes.dims.insert(tensor.name(), tensors::shape(tensor));
            if let Some(values) = tensors::small_integers(tensor) {
                shapes.values.insert(tensor.name(), values);
            }
        }
        let declared = declared(index.graph);
        for place in &index.order {
            shapes.visit(&index.graph.node[*place], *place, native, &declared);
        }
        shapes
    }

    /// The shape of `tensor`, if it is known how many dimensions it has.
    pub(super) fn get(&self, tensor: &str) -> Option<&[Dim]> {
        self.dims.get(tensor).map(Vec::as_slice)
    }

    fn visit(&mut self, node: &'a NodeProto, place: usize, native: i64, declared: &HashMap<&str, Shape>) {
        let known = Known { node, place, shapes: self, native };
        let (mut outputs, edits) = known.outputs();
        let value = known.output_value();
        self.edits.extend(edits);
        outputs.resize(node.output.len(), None);
        for (tensor, shape) in node.output.iter().zip(outputs) {
            let shape = shape.or_else(|| declared.get(tensor.as_str()).cloned());
            if let Some(shape) = shape.filter(|shape| shape.len() <= MAX_RANK) {
                self.dims.insert(tensor, shape);
            }
        }
        if let (Some(tensor), Some(value)) = (node.output.first(), value) {
            self.values.insert(tensor, value);
        }
    }
}

/// Shapes that the file states. What it says of the first dimension is no proof of anything, and is left out.
fn declared(graph: &GraphProto) -> HashMap<&str, Shape> {
    let infos = graph.value_info.iter().chain(&graph.output);
    infos
        .filter_map(|info| tensors::declared_shape(info).map(|shape| (info.name(), shape)))
        .map(|(name, mut shape)| {
            if let Some(first) = shape.first_mut() {
                *first = Dim::Unknown;
            }
            (name, shape)
        })
        .collect()
}

impl<'a> Known<'_, 'a> {
    fn shape(&self, input: usize) -> Option<&[Dim]> {
        self.node.input.get(input).and_then(|tensor| self.shapes.get(tensor))
    }

    fn value(&self, input: usize) -> Option<&[Dim]> {
        let tensor = self.node.input.get(input)?;
        self.shapes.values.get(tensor.as_str()).map(Vec::as_slice)
    }

    /// Fixed integers of an input.
    fn fixed_value(&self, input: usize) -> Option<Vec<i64>> {
        self.value(input)?.iter().map(|value| value.fixed()).collect()
    }

    /// Integers that newer operators take as an input and older ones as an attribute.
    fn list(&self, input: usize, attribute: &str) -> Option<Vec<i64>> {
        self.fixed_value(input).or_else(|| index::ints(self.node, attribute).map(<[i64]>::to_vec))
    }

    fn int(&self, attribute: &str, default: i64) -> i64 {
        index::int(self.node, attribute, default)
    }

    /// Shapes of the outputs, with what must be edited to get them.
    fn outputs(&self) -> (Vec<Option<Shape>>, Vec<Edit>) {
        match self.node.op_type() {
            "Reshape" => {
                let (shape, edit) = self.reshape();
                (vec![shape], edit.into_iter().collect())
            }
            "Concat" => {
                let (shape, edits) = self.concat();
                (vec![shape], edits)
            }
            "Split" => (self.split().unwrap_or_default(), Vec::new()),
            "DynamicQuantizeLinear" => (vec![self.same(), Some(vec![]), Some(vec![])], Vec::new()),
            _ => (vec![self.output()], Vec::new()),
        }
    }

    fn output(&self) -> Option<Shape> {
        match self.node.op_type() {
            "Relu"
            | "LeakyRelu"
            | "Sigmoid"
            | "HardSigmoid"
            | "HardSwish"
            | "Swish"
            | "Clip"
            | "Elu"
            | "Selu"
            | "Celu"
            | "Gelu"
            | "QuickGelu"
            | "FastGelu"
            | "BiasGelu"
            | "Mish"
            | "Erf"
            | "Tanh"
            | "Softplus"
            | "Softsign"
            | "ThresholdedRelu"
            | "Identity"
            | "Dropout"
            | "Cast"
            | "LRN"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "SimplifiedLayerNormalization"
            | "SkipLayerNormalization"
            | "MultiHeadAttention"
            | "RMSNormalization"
            | "GroupNormalization"
            | "QuantizeLinear"
            | "DequantizeLinear"
            | "Sqrt"
            | "Exp"
            | "Log"
            | "Neg"
            | "Abs"
            | "Reciprocal"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "Not"
            | "Sin"
            | "Cos" => self.same(),
            "Softmax" | "LogSoftmax" | "LpNormalization" | "Hardmax" => self.along_axis(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Sum" | "Mean" | "Max" | "Min" | "Where" | "PRelu" | "Equal"
            | "Greater" | "Less" | "And" | "Or" | "Mod" => self.broadcast(),
            "Expand" => self.expand(),
            "Conv" | "ConvInteger" => self.convolution(1),
            "QLinearConv" => self.convolution(3),
            "MaxPool" | "AveragePool" | "LpPool" => self.pool(),
            "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" | "QLinearGlobalAveragePool" => self.global_pool(),
            "Resize" | "Upsample" => self.resampled(),
            "Pad" => self.pad(),
            "DepthToSpace" | "SpaceToDepth" => self.resampled_channels(),
            "Gemm" => self.gemm(1),
            "QGemm" => self.gemm(3),
            "MatMul" | "MatMulInteger" | "FusedMatMul" => self.matrix_product(1),
            "QLinearMatMul" => self.matrix_product(3),
            "Attention" if self.node.domain() == "com.microsoft" => self.attention(),
            "Flatten" => self.flatten(),
            "Squeeze" => self.squeeze(),
            "Unsqueeze" => self.unsqueeze(),
            "Transpose" => self.transpose(),
            "Gather" => self.gather(),
            "Slice" => self.slice(),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceL1" | "ReduceProd" => {
                self.reduce()
            }
            "ArgMax" | "ArgMin" => self.arg_reduce(),
            "Constant" => tensors::constant(self.node).map(|constant| constant.shape),
            "ConstantOfShape" => self.value(0).map(<[Dim]>::to_vec),
            "Shape" => self.value_len(),
            _ => None,
        }
    }

    fn same(&self) -> Option<Shape> {
        self.shape(0).map(<[Dim]>::to_vec)
    }

    /// How many values an operator on shapes gave.
    fn value_len(&self) -> Option<Shape> {
        self.output_value().and_then(|value| i64::try_from(value.len()).ok()).map(|len| vec![Dim::Fixed(len)])
    }
}

/// The shape and type that the file states of an input or output.
pub(super) fn tensor_type(info: &crate::backbone::onnx::ValueInfoProto) -> Option<&type_proto::Tensor> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
        _ => None,
    }
}

/// Where the images are counted in a shape.
fn batch_place(shape: &[Dim]) -> Option<usize> {
    shape.iter().position(|dim| matches!(dim, Dim::Batch(_)))
}
