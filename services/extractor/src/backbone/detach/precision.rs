//! The numeric precision that a graph computes in.

use crate::backbone::onnx::{GraphProto, tensor_proto::DataType};

/// The numeric precision of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    Fp32,
    /// 16-bit floating point, at least in part.
    Fp16,
    /// 8-bit integers, at least in part.
    Int8,
}

impl Precision {
    /// Its name in descriptions and embedding spaces.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        }
    }

    pub(super) fn of(graph: &GraphProto) -> Precision {
        let quantized = |op: &str| {
            op.starts_with("QLinear")
                || op.ends_with("Integer")
                || matches!(
                    op,
                    "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "QGemm" | "QAttention"
                )
        };
        if graph.node.iter().any(|node| quantized(node.op_type())) {
            Precision::Int8
        } else if has_other_floats(graph) {
            Precision::Fp16
        } else {
            Precision::Fp32
        }
    }
}

/// Whether a graph holds, makes or takes numbers of 16 bits, or of 64.
pub(super) fn has_other_floats(graph: &GraphProto) -> bool {
    let other = |data_type: i32| {
        matches!(DataType::try_from(data_type), Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Double))
    };
    let cast = |to: i64| i32::try_from(to).is_ok_and(other);
    graph.initializer.iter().any(|tensor| other(tensor.data_type()))
        || graph.node.iter().flat_map(|node| &node.attribute).any(|attribute| {
            attribute.name() == "to" && cast(attribute.i())
                || attribute.t.as_ref().is_some_and(|t| other(t.data_type()))
        })
}
