//! Adds nodes and constants to a graph.

use bytes::Bytes;
use graft_onnx::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// What the names of all that is added begin with, the outputs apart.
pub const PREFIX: &str = "graft/head/";

/// A graph that is being added to.
pub struct Writer<'a> {
    /// The graph.
    pub graph: &'a mut GraphProto,
    /// The version of ONNX's operators that it is written in.
    pub operators: i64,
}

impl Writer<'_> {
    /// Add a node that gives `output`.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        self.node_of_many(operator, inputs, &[output], attributes);
    }

    /// The same for a node that gives several.
    pub fn node_of_many(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.graph.node.push(NodeProto {
            name: outputs.first().map(|output| format!("{PREFIX}{operator}/{output}")),
            op_type: Some(operator.to_owned()),
            input: owned(inputs),
            output: owned(outputs),
            attribute: attributes,
            ..Default::default()
        });
    }

    /// Add a node that gives a tensor of our own, `part`. Gives its name.
    pub fn step(&mut self, operator: &str, inputs: &[&str], part: &str, attributes: Vec<AttributeProto>) -> String {
        let name = format!("{PREFIX}{part}");
        self.node(operator, inputs, &name, attributes);
        name
    }

    /// Add a constant of float32. Gives its name.
    pub fn floats(&mut self, part: &str, dims: &[usize], numbers: &[f32]) -> String {
        let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(part, dims, DataType::Float, raw)
    }

    /// Add a constant of whole numbers. Gives its name.
    pub fn integers(&mut self, part: &str, dims: &[usize], numbers: &[i64]) -> String {
        let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(part, dims, DataType::Int64, raw)
    }

    fn constant(&mut self, part: &str, dims: &[usize], data_type: DataType, raw: Vec<u8>) -> String {
        let name = format!("{PREFIX}{part}");
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: dims.iter().map(|size| *size as i64).collect(),
            data_type: Some(data_type as i32),
            raw_data: Some(Bytes::from(raw)),
            ..Default::default()
        });
        name
    }
}

/// An attribute that is a whole number.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..Default::default()
    }
}

/// An output of float32, `[images, columns]`; of `one` image, or of any number.
pub fn output(name: &str, one: bool, columns: usize) -> ValueInfoProto {
    let images = if one { dimension::Value::DimValue(1) } else { dimension::Value::DimParam("batch".to_owned()) };
    let dim = |value| Dimension { value: Some(value), ..Default::default() };
    let shape = TensorShapeProto { dim: vec![dim(images), dim(dimension::Value::DimValue(columns as i64))] };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float as i32), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}
