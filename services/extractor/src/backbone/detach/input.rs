//! The one input of a backbone: a batch of images.

use super::{
    DetachError,
    dim::{Dim, Shape, Shown},
    index::{Index, feeds, ints},
    shapes::tensor_type,
    tensors::declared_shape,
};
use crate::{
    backbone::onnx::{ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension},
    preprocessing::Layout,
};

/// What the graph takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The tensor.
    pub name: String,
    /// The order of its numbers.
    pub layout: Layout,
    /// Height in pixels, if the graph fixes it.
    pub height: Option<u32>,
    /// Width in pixels, if the graph fixes it.
    pub width: Option<u32>,
}

impl Input {
    /// Check that the graph takes images of `height` × `width` pixels.
    pub fn accept(&self, height: u32, width: u32) -> Result<(), DetachError> {
        let fits = |fixed: Option<u32>, given: u32| fixed.is_none_or(|fixed| fixed == given);
        if fits(self.height, height) && fits(self.width, width) {
            return Ok(());
        }
        let graph = [self.height.unwrap_or(height), self.width.unwrap_or(width)];
        Err(DetachError::Size { input: self.name.clone(), graph, given: [height, width] })
    }

    /// Check that the graph takes numbers in this order. The usual order says nothing: files often leave it out.
    pub fn accept_layout(&self, layout: Layout) -> Result<(), DetachError> {
        if layout == Layout::Nhwc && self.layout == Layout::Nchw {
            return Err(DetachError::Layout { input: self.name.clone() });
        }
        Ok(())
    }

    /// The shape of one image of `height` × `width` pixels.
    pub fn image_shape(&self, height: u32, width: u32) -> [usize; 3] {
        match self.layout {
            Layout::Nchw => [3, height as usize, width as usize],
            Layout::Nhwc => [height as usize, width as usize, 3],
        }
    }
}

/// The input as the file has it.
pub(super) struct Found<'a> {
    pub(super) info: &'a ValueInfoProto,
    pub(super) input: Input,
    /// The type of its elements.
    pub(super) element: DataType,
    /// How many images the file fixes.
    pub(super) batch: Option<i64>,
}

impl<'a> Found<'a> {
    /// Its shape, the images counted as a symbol.
    pub(super) fn shape(&self) -> Shape {
        let size = |size: Option<u32>| size.map_or(Dim::Unknown, |size| Dim::Fixed(i64::from(size)));
        let (height, width) = (size(self.input.height), size(self.input.width));
        match self.input.layout {
            Layout::Nchw => vec![Dim::Batch(1), Dim::Fixed(3), height, width],
            Layout::Nhwc => vec![Dim::Batch(1), height, width, Dim::Fixed(3)],
        }
    }

    /// Find the graph's one input.
    pub(super) fn find(index: &Index<'a>) -> Result<Found<'a>, DetachError> {
        // Old files list their weights among the inputs.
        let real: Vec<&ValueInfoProto> =
            index.graph.input.iter().filter(|input| !index.is_constant(input.name())).collect();
        let [info] = real[..] else {
            return Err(DetachError::Inputs(real.iter().map(|input| input.name().to_owned()).collect()));
        };
        let refused = |found: String| DetachError::Input { input: info.name().to_owned(), found };
        let element = tensor_type(info).and_then(|tensor| DataType::try_from(tensor.elem_type()).ok());
        let element = element.ok_or_else(|| refused("no tensor, or one of a type that is not stated".into()))?;
        let shape = declared_shape(info);
        let found = || refused(format!("{} of {}", element.as_str_name().to_lowercase(), Shown(shape.as_deref())));
        if !matches!(element, DataType::Float | DataType::Float16) {
            return Err(found());
        }
        let shape = shape.as_deref().unwrap_or(&[Dim::Unknown; 4]);
        let [batch, a, b, c] = shape[..] else { return Err(found()) };
        let layout = layout(index, info.name(), [a, b, c]).ok_or_else(found)?;
        let (height, width) = if layout == Layout::Nchw { (b, c) } else { (a, b) };
        let pixels = |dim: Dim| dim.fixed().map(u32::try_from).transpose().map_err(|_| found());
        let input = Input { name: info.name().to_owned(), layout, height: pixels(height)?, width: pixels(width)? };
        Ok(Found { info, input, element, batch: batch.fixed() })
    }
}

/// Which of the dimensions are the three channels. If the shape leaves it open, the node that takes the images tells:
/// convolutions take planes, and what was made for pixels transposes them first.
fn layout(index: &Index<'_>, input: &str, dims: [Dim; 3]) -> Option<Layout> {
    let pixels_first = || {
        let users = index.graph.node.iter().filter(|node| feeds(node).contains(&input));
        users.into_iter().any(|node| node.op_type() == "Transpose" && ints(node, "perm") == Some(&[0, 3, 1, 2]))
    };
    match dims {
        [Dim::Fixed(3), ..] => Some(Layout::Nchw),
        [.., Dim::Fixed(3)] => Some(Layout::Nhwc),
        [Dim::Unknown, _, Dim::Unknown] => Some(if pixels_first() { Layout::Nhwc } else { Layout::Nchw }),
        [Dim::Unknown, ..] => Some(Layout::Nchw),
        [.., Dim::Unknown] => Some(Layout::Nhwc),
        _ => None,
    }
}

/// The images with their number left open.
pub(super) fn with_open_batch(info: &ValueInfoProto, name: &str) -> ValueInfoProto {
    let mut info = ValueInfoProto { name: Some(name.to_owned()), ..info.clone() };
    let tensor = info.r#type.as_mut().and_then(|r#type| r#type.value.as_mut());
    if let Some(crate::backbone::onnx::type_proto::Value::TensorType(tensor)) = tensor {
        tensor.elem_type = Some(DataType::Float as i32);
        if let Some(first) = tensor.shape.as_mut().and_then(|shape| shape.dim.first_mut()) {
            first.value = Some(dimension::Value::DimParam("batch".into()));
        }
    }
    info
}
