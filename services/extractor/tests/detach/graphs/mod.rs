//! ONNX graphs as exporters write them, small enough to write by hand.

pub mod convnext;
pub mod plain;
pub mod quantized;
pub mod vit;

use bytes::Bytes;
use graft_extractor::backbone::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};
use half::f16;
use prost::Message;

/// A graph that is being written.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The graph so far.
    pub proto: GraphProto,
    /// Weights are float16.
    pub half: bool,
    seed: u32,
}

/// An attribute's value.
pub enum Value<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
}

/// Attributes of a node.
pub type Attributes<'a> = &'a [(&'a str, Value<'a>)];

impl Graph {
    /// A graph that takes `images` of this shape; 0 stands for any size.
    pub fn new(shape: &[i64]) -> Graph {
        let mut graph = Graph::default();
        graph.proto.name = Some("graph".into());
        graph.proto.input.push(info("images", DataType::Float, shape));
        graph
    }

    /// The same with weights and images of float16.
    pub fn new_half(shape: &[i64]) -> Graph {
        let mut graph = Graph { half: true, ..Graph::new(shape) };
        graph.proto.input = vec![info("images", DataType::Float16, shape)];
        graph
    }

    /// Weights of this shape that follow no pattern, about `scale` in size.
    pub fn weights(&mut self, name: &str, dims: &[i64], scale: f32) -> String {
        self.seed += 1;
        let len: i64 = dims.iter().product();
        let mut state = u64::from(self.seed);
        let values: Vec<f32> = (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                scale * (((state >> 40) as f32) / ((1_u64 << 23) as f32) - 1.0)
            })
            .collect();
        self.floats(name, dims, &values)
    }

    /// Weights of this shape.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        let raw: Vec<u8> = if self.half {
            values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
        } else {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        self.tensor(name, if self.half { DataType::Float16 } else { DataType::Float }, dims, raw)
    }

    /// A list of integers.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, DataType::Int64, &[values.len() as i64], raw)
    }

    /// One integer.
    pub fn integer(&mut self, name: &str, value: i64) -> String {
        self.tensor(name, DataType::Int64, &[], value.to_le_bytes().to_vec())
    }

    /// An initializer.
    pub fn tensor(&mut self, name: &str, data_type: DataType, dims: &[i64], raw: Vec<u8>) -> String {
        self.proto.initializer.push(tensor(name, data_type, dims, raw));
        name.to_owned()
    }

    /// A node that makes the tensor `name` from `inputs`.
    pub fn op(&mut self, name: &str, op: &str, inputs: &[&str], attributes: Attributes<'_>) -> String {
        self.proto.node.push(NodeProto {
            name: Some(format!("node_{name}")),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.to_owned()],
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: (op == "QGemm").then(|| "com.microsoft".to_owned()),
            ..Default::default()
        });
        name.to_owned()
    }

    /// A convolution with bias, its weights `[filters, channels / group, kernel, kernel]`.
    pub fn conv(&mut self, name: &str, input: &str, dims: [i64; 4], stride: i64, group: i64) -> String {
        let inner: i64 = dims[1..].iter().product();
        let weights = self.weights(&format!("{name}.weight"), &dims, 1.7 / (inner as f32).sqrt());
        let bias = self.weights(&format!("{name}.bias"), &dims[..1], 0.1);
        let (kernel, pad) = (dims[2], if stride == dims[2] { 0 } else { dims[2] / 2 });
        let (pads, strides) = ([pad; 4], [stride; 2]);
        self.op(
            name,
            "Conv",
            &[input, &weights, &bias],
            &[
                ("kernel_shape", Value::Ints(&[kernel, kernel])),
                ("pads", Value::Ints(&pads)),
                ("strides", Value::Ints(&strides)),
                ("group", Value::Int(group)),
            ],
        )
    }

    /// `input [rows, inner]` times weights `[outer, inner]`, as PyTorch writes a linear layer.
    pub fn gemm(&mut self, name: &str, input: &str, inner: i64, outer: i64) -> String {
        let weights = self.weights(&format!("{name}.weight"), &[outer, inner], 1.7 / (inner as f32).sqrt());
        let bias = self.weights(&format!("{name}.bias"), &[outer], 0.1);
        self.op(name, "Gemm", &[input, &weights, &bias], &[("transB", Value::Int(1))])
    }

    /// A linear layer on the last dimension: MatMul and Add.
    pub fn linear(&mut self, name: &str, input: &str, inner: i64, outer: i64) -> String {
        let weights = self.weights(&format!("{name}.weight"), &[inner, outer], 1.7 / (inner as f32).sqrt());
        let bias = self.weights(&format!("{name}.bias"), &[outer], 0.1);
        let product = self.op(&format!("{name}.product"), "MatMul", &[input, &weights], &[]);
        self.op(name, "Add", &[&bias, &product], &[])
    }

    /// Layer normalisation over the last dimension.
    pub fn layer_norm(&mut self, name: &str, input: &str, size: i64) -> String {
        let scale = self.floats(&format!("{name}.weight"), &[size], &vec![1.0; size as usize]);
        let bias = self.weights(&format!("{name}.bias"), &[size], 0.1);
        self.op(
            name,
            "LayerNormalization",
            &[input, &scale, &bias],
            &[("axis", Value::Int(-1)), ("epsilon", Value::Float(1e-6))],
        )
    }

    /// GELU as exporters wrote it before it was an operator: `x / 2 * (1 + erf(x / sqrt 2))`.
    pub fn gelu(&mut self, name: &str, input: &str) -> String {
        let root = self.floats(&format!("{name}.root"), &[], &[std::f32::consts::SQRT_2]);
        let one = self.floats(&format!("{name}.one"), &[], &[1.0]);
        let half = self.floats(&format!("{name}.half"), &[], &[0.5]);
        let divided = self.op(&format!("{name}.divided"), "Div", &[input, &root], &[]);
        let erf = self.op(&format!("{name}.erf"), "Erf", &[&divided], &[]);
        let raised = self.op(&format!("{name}.raised"), "Add", &[&erf, &one], &[]);
        let product = self.op(&format!("{name}.whole"), "Mul", &[input, &raised], &[]);
        self.op(name, "Mul", &[&product, &half], &[])
    }

    /// State an output.
    pub fn output(&mut self, name: &str, shape: &[i64]) {
        let element = if self.half { DataType::Float16 } else { DataType::Float };
        self.proto.output.push(info(name, element, shape));
    }

    /// The ONNX model.
    pub fn model(&self) -> ModelProto {
        let opset = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
        ModelProto {
            ir_version: Some(8),
            opset_import: vec![opset("", 17), opset("com.microsoft", 1)],
            graph: Some(self.proto.clone()),
            ..Default::default()
        }
    }

    /// The ONNX file.
    pub fn file(&self) -> Bytes {
        self.model().encode_to_vec().into()
    }
}

/// A tensor as a file holds it.
pub fn tensor(name: &str, data_type: DataType, dims: &[i64], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type as i32),
        dims: dims.to_vec(),
        raw_data: Some(raw.into()),
        ..Default::default()
    }
}

/// What a file says of an input or output.
pub fn info(name: &str, element: DataType, shape: &[i64]) -> ValueInfoProto {
    let size = |size: &i64| match size {
        0 => dimension::Value::DimParam("batch".into()),
        size => dimension::Value::DimValue(*size),
    };
    let dim = shape.iter().map(|s| Dimension { value: Some(size(s)), ..Default::default() }).collect();
    let tensor = type_proto::Tensor { elem_type: Some(element as i32), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}

fn attribute(name: &str, value: &Value<'_>) -> AttributeProto {
    let mut attribute = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
    let r#type = match value {
        Value::Int(value) => {
            attribute.i = Some(*value);
            AttributeType::Int
        }
        Value::Ints(values) => {
            attribute.ints = values.to_vec();
            AttributeType::Ints
        }
        Value::Float(value) => {
            attribute.f = Some(*value);
            AttributeType::Float
        }
    };
    attribute.r#type = Some(r#type as i32);
    attribute
}
