//! Shapes of what works over places: convolutions and pools, `[batch, channels, height, width]`.

use super::Known;
use crate::backbone::detach::dim::{self, Dim, Shape};
use crate::backbone::detach::index::{attribute, ints};

impl Known<'_, '_> {
    /// A convolution whose weights, `[filters, channels / group, kernel…]`, are its input number `weights`.
    pub(super) fn convolution(&self, weights: usize) -> Option<Shape> {
        let (images, weights) = (self.shape(0)?, self.shape(weights)?);
        let (filters, kernel) = (*weights.first()?, weights.get(2..)?);
        self.windows(images, filters, kernel)
    }

    pub(super) fn pool(&self) -> Option<Shape> {
        let images = self.shape(0)?;
        let kernel: Shape = ints(self.node, "kernel_shape")?.iter().map(|size| Dim::Fixed(*size)).collect();
        self.windows(images, *images.get(1)?, &kernel)
    }

    pub(super) fn global_pool(&self) -> Option<Shape> {
        let mut shape = self.same()?;
        shape.get_mut(2..)?.fill(Dim::Fixed(1));
        Some(shape)
    }

    /// Places become more or fewer, by how much is not worked out.
    pub(super) fn resampled(&self) -> Option<Shape> {
        let mut shape = self.same()?;
        shape.get_mut(2..)?.fill(Dim::Unknown);
        Some(shape)
    }

    pub(super) fn resampled_channels(&self) -> Option<Shape> {
        let mut shape = self.same()?;
        shape.get_mut(1..)?.fill(Dim::Unknown);
        Some(shape)
    }

    pub(super) fn pad(&self) -> Option<Shape> {
        let images = self.shape(0)?;
        let rank = images.len();
        // Exporters compute pads in ways that are not followed here. No network pads the batch.
        let unknown = || images.iter().take(1).copied().chain(vec![Dim::Unknown; rank.saturating_sub(1)]).collect();
        // Axes came with opset 18, and then say which dimensions the pads are for.
        if self.node.input.get(3).is_some_and(|axes| !axes.is_empty()) {
            return Some(unknown());
        }
        let pads = self.list(1, "pads").filter(|pads| pads.len() == 2 * rank);
        let Some(pads) = pads else { return Some(unknown()) };
        let padded = images.iter().enumerate().map(|(axis, dim)| match (dim, pads[axis], pads[axis + rank]) {
            (dim, 0, 0) => *dim,
            (Dim::Fixed(n), before, after) => {
                n.checked_add(before).and_then(|n| n.checked_add(after)).map_or(Dim::Unknown, Dim::Fixed)
            }
            _ => Dim::Unknown,
        });
        Some(padded.collect())
    }

    fn windows(&self, images: &[Dim], channels: Dim, kernel: &[Dim]) -> Option<Shape> {
        let places = images.get(2..)?;
        if places.len() != kernel.len() {
            return None;
        }
        let sizes = (0..places.len()).map(|axis| self.window_count(axis, places[axis], kernel[axis]));
        Some([images[0], channels].into_iter().chain(sizes).collect())
    }

    /// How many windows fit along one axis: `(size + pads - dilation * (kernel - 1) - 1) / stride + 1`.
    fn window_count(&self, axis: usize, size: Dim, kernel: Dim) -> Dim {
        let at = |name: &str, index: usize, default: i64| {
            ints(self.node, name).and_then(|list| list.get(index).copied()).unwrap_or(default)
        };
        let (Dim::Fixed(size), Dim::Fixed(kernel)) = (size, kernel) else { return Dim::Unknown };
        let (stride, dilation) = (at("strides", axis, 1), at("dilations", axis, 1));
        if stride < 1 {
            return Dim::Unknown;
        }
        let automatic = attribute(self.node, "auto_pad").map(|attribute| attribute.s().to_vec()).unwrap_or_default();
        if automatic.starts_with(b"SAME") {
            return Dim::Fixed(size / stride + i64::from(size % stride != 0));
        }
        let rank = ints(self.node, "pads").map_or(0, |pads| pads.len() / 2);
        let pads = at("pads", axis, 0).checked_add(at("pads", axis + rank, 0));
        let counted = || {
            let reach = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
            let room = size.checked_add(pads?)?.checked_sub(reach)?;
            let up = if self.int("ceil_mode", 0) != 0 { stride - 1 } else { 0 };
            (room >= 0).then_some((room.checked_add(up)?) / stride + 1)
        };
        counted().map_or(Dim::Unknown, Dim::Fixed)
    }

    /// Reductions over axes that are given, or over all.
    pub(super) fn reduce(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        let keep = self.int("keepdims", 1) != 0;
        let given = self.node.input.get(1).is_some_and(|axes| !axes.is_empty());
        let axes = match self.list(1, "axes") {
            Some(axes) => axes.iter().map(|axis| dim::axis(*axis, shape.len())).collect::<Option<Vec<_>>>()?,
            None if given => return None,
            None => (0..shape.len()).collect(),
        };
        Some(without(shape, &axes, keep))
    }

    pub(super) fn arg_reduce(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        let axis = dim::axis(self.int("axis", 0), shape.len())?;
        Some(without(shape, &[axis], self.int("keepdims", 1) != 0))
    }
}

fn without(shape: &[Dim], axes: &[usize], keep: bool) -> Shape {
    let kept = shape.iter().enumerate().filter(|(axis, _)| keep || !axes.contains(axis));
    kept.map(|(axis, dim)| if axes.contains(&axis) { Dim::Fixed(1) } else { *dim }).collect()
}
