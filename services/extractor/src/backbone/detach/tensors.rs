//! Constant tensors as files hold them, and what is worked out from them.

use prost::bytes::Bytes;

use super::{
    DetachError, MAX_WEIGHT_BYTES,
    dim::{Dim, Shape},
    index::{Index, attribute},
    shapes::{Shapes, tensor_type},
};
use crate::backbone::onnx::{
    NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension,
};

/// The most elements of an integer tensor that is read as a shape.
pub(super) const MAX_VALUES: usize = 64;

/// What a Constant node holds.
pub(super) struct Constant {
    pub(super) shape: Shape,
    pub(super) values: Option<Shape>,
}

/// A tensor's shape.
pub(super) fn shape(tensor: &TensorProto) -> Shape {
    tensor.dims.iter().map(|size| Dim::Fixed(*size)).collect()
}

/// The integers of a small tensor with one dimension or none.
pub(super) fn small_integers(tensor: &TensorProto) -> Option<Shape> {
    let len = match tensor.dims[..] {
        [] => 1,
        [len] => usize::try_from(len).ok().filter(|len| *len <= MAX_VALUES)?,
        _ => return None,
    };
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let values: Vec<i64> = match (DataType::try_from(tensor.data_type()).ok()?, raw.is_empty()) {
        (DataType::Int64, false) => raw.as_chunks::<8>().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect(),
        (DataType::Int64, true) => tensor.int64_data.clone(),
        (DataType::Int32, false) => {
            raw.as_chunks::<4>().0.iter().map(|four| i64::from(i32::from_le_bytes(*four))).collect()
        }
        (DataType::Int32, true) => tensor.int32_data.iter().map(|value| i64::from(*value)).collect(),
        _ => return None,
    };
    (values.len() == len).then(|| values.into_iter().map(Dim::Fixed).collect())
}

/// What a Constant node holds.
pub(super) fn constant(node: &NodeProto) -> Option<Constant> {
    if let Some(tensor) = attribute(node, "value").and_then(|attribute| attribute.t.as_ref()) {
        return Some(Constant { shape: shape(tensor), values: small_integers(tensor) });
    }
    if let Some(value) = attribute(node, "value_int") {
        return Some(Constant { shape: vec![], values: Some(vec![Dim::Fixed(value.i())]) });
    }
    if let Some(list) = attribute(node, "value_ints") {
        let values = list.ints.iter().map(|value| Dim::Fixed(*value)).collect();
        return Some(Constant { shape: vec![Dim::Fixed(list.ints.len() as i64)], values: Some(values) });
    }
    attribute(node, "value_float").map(|_| Constant { shape: vec![], values: None })
}

/// The shape that the file states; a named dimension is unknown.
pub(super) fn declared_shape(info: &ValueInfoProto) -> Option<Shape> {
    let dims = &tensor_type(info)?.shape.as_ref()?.dim;
    let size = |value: &Option<dimension::Value>| match value {
        Some(dimension::Value::DimValue(size)) if *size > 0 => Dim::Fixed(*size),
        _ => Dim::Unknown,
    };
    Some(dims.iter().map(|dim| size(&dim.value)).collect())
}

/// A tensor of whole numbers, for the file.
pub(super) fn integers(name: String, values: &[i64], scalar: bool) -> TensorProto {
    TensorProto {
        name: Some(name),
        dims: if scalar { vec![] } else { vec![values.len() as i64] },
        data_type: Some(DataType::Int64 as i32),
        raw_data: Some(Bytes::from(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
        ..Default::default()
    }
}

/// Bytes of one element; `None` for those of less than a byte, and for strings.
fn element_bytes(data_type: i32) -> Option<u64> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Double | DataType::Int64 | DataType::Uint64 | DataType::Complex64 => 8,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Complex128 => 16,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    })
}

/// Bytes that an initializer takes, checked against those that it has.
fn initializer_bytes(tensor: &TensorProto) -> Result<u64, DetachError> {
    let wrong = |reason: String| DetachError::Malformed(format!("the initializer `{}` {reason}", tensor.name()));
    let elements = tensor.dims.iter().try_fold(1_u64, |product, size| product.checked_mul(u64::try_from(*size).ok()?));
    let Some(elements) = elements else { return Err(wrong(format!("has the shape {:?}", tensor.dims))) };
    let Some(size) = element_bytes(tensor.data_type()) else { return Ok(elements) };
    let bytes = elements.checked_mul(size).ok_or_else(|| wrong(format!("has the shape {:?}", tensor.dims)))?;
    match tensor.raw_data.as_ref().map(|raw| raw.len() as u64) {
        Some(found) if found != bytes => {
            Err(wrong(format!("of shape {:?} needs {bytes} bytes and has {found}", tensor.dims)))
        }
        _ => Ok(bytes),
    }
}

/// Bytes of all constants, those that nodes make from nothing too: a few bytes of file can ask for any size. What is made of
/// one image, or of constants, may be as large as all of them at the most.
pub(super) fn weight_bytes(index: &Index<'_>, shapes: &Shapes<'_>, input: &str) -> Result<u64, DetachError> {
    let mut total = 0_u64;
    let limited = |tensor: &str, bytes: u64| match bytes {
        0..=MAX_WEIGHT_BYTES => Ok(bytes),
        _ => Err(DetachError::TooLarge { tensor: tensor.to_owned(), bytes }),
    };
    limited(input, bytes_for_one(shapes, input))?;
    for tensor in &index.graph.initializer {
        total = limited(tensor.name(), total.saturating_add(initializer_bytes(tensor)?))?;
    }
    for node in &index.graph.node {
        for tensor in &node.output {
            let bytes = limited(tensor, bytes_for_one(shapes, tensor))?;
            if matches!(node.op_type(), "Constant" | "ConstantOfShape" | "Expand" | "Tile") && index.is_constant(tensor)
            {
                total = limited(tensor, total.saturating_add(bytes))?;
            }
        }
    }
    Ok(total)
}

/// Bytes of a tensor of four-byte numbers for one image, as far as its shape is known.
fn bytes_for_one(shapes: &Shapes<'_>, tensor: &str) -> u64 {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(n) | Dim::Batch(n) => n.max(&0).unsigned_abs(),
        Dim::Unknown => 1,
    };
    shapes.get(tensor).map_or(0, |dims| dims.iter().map(size).fold(4, u64::saturating_mul))
}
