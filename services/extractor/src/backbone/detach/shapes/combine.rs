//! Shapes of products, sums and joins.

use super::{Edit, Known, batch_place};
use crate::backbone::detach::dim::{self, Dim, Shape};

impl Known<'_, '_> {
    /// What broadcasts its inputs.
    pub(super) fn broadcast(&self) -> Option<Shape> {
        let first = self.shape(0)?.to_vec();
        (1..self.node.input.len()).try_fold(first, |shape, input| Some(dim::broadcast(&shape, self.shape(input)?)))
    }

    pub(super) fn expand(&self) -> Option<Shape> {
        if let Some(sizes) = self.value(1) {
            return Some(dim::broadcast(self.shape(0)?, sizes));
        }
        // How many dimensions there are is known even where their sizes are not.
        let rank = usize::try_from(self.shape(1)?.first()?.fixed()?).ok().filter(|rank| *rank <= dim::MAX_RANK)?;
        Some(vec![Dim::Unknown; rank.max(self.shape(0)?.len())])
    }

    /// What mixes the numbers along one axis. Along the images nothing is known any more: they are no longer apart.
    pub(super) fn along_axis(&self) -> Option<Shape> {
        let shape = self.same()?;
        let axis = dim::axis(self.int("axis", -1), shape.len());
        let apart = batch_place(&shape).is_none_or(|batch| axis.is_some_and(|axis| axis != batch));
        apart.then_some(shape)
    }

    /// `[rows, inner]` times `[inner, columns]`, either transposed if an attribute says so.
    pub(super) fn gemm(&self, right: usize) -> Option<Shape> {
        let ([rows, inner], [a, b]) = (self.shape(0)?, self.shape(right)?) else { return None };
        let rows = if self.int("transA", 0) != 0 { inner } else { rows };
        Some(vec![*rows, if self.int("transB", 0) != 0 { *a } else { *b }])
    }

    /// `[…, rows, inner]` times `[…, inner, columns]`; what comes before is broadcast.
    pub(super) fn matrix_product(&self, right: usize) -> Option<Shape> {
        let (a, b) = (self.shape(0)?, self.shape(right)?);
        let transposed = self.int("transA", 0) != 0 || self.int("transB", 0) != 0;
        let ([before_a @ .., rows, _], [before_b @ .., _, columns]) = (a, b) else { return None };
        if transposed {
            return None;
        }
        let mut shape = dim::broadcast(before_a, before_b);
        shape.extend([*rows, *columns]);
        Some(shape)
    }

    /// ONNX Runtime's fused self-attention: the weights are `[features, 3 * features]`.
    pub(super) fn attention(&self) -> Option<Shape> {
        let mut shape = self.same()?;
        if self.node.attribute.iter().any(|attribute| attribute.name() == "qkv_hidden_sizes") {
            *shape.last_mut()? = Dim::Unknown;
        }
        Some(shape)
    }

    /// Inputs side by side. One that is there once while others are there for each image is repeated.
    pub(super) fn concat(&self) -> (Option<Shape>, Vec<Edit>) {
        let inputs: Option<Vec<&[Dim]>> = (0..self.node.input.len()).map(|input| self.shape(input)).collect();
        let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { return (None, Vec::new()) };
        let rank = inputs[0].len();
        let axis = dim::axis(self.int("axis", 1), rank);
        let Some(axis) = axis.filter(|_| inputs.iter().all(|shape| shape.len() == rank)) else {
            return (None, Vec::new());
        };
        let mut edits = Vec::new();
        let like = inputs.iter().position(|shape| shape[0] == Dim::Batch(1)).filter(|_| axis > 0);
        let joined = (0..rank).map(|at| {
            let sizes = inputs.iter().map(|shape| shape[at]);
            if at == axis {
                sizes.reduce(plus)
            } else {
                sizes.reduce(|a, b| self.alike(a, b, at == 0 && like.is_some()))
            }
        });
        let shape: Option<Shape> = joined.collect();
        if let Some(like) = like {
            for input in (0..inputs.len()).filter(|input| inputs[*input][0] == Dim::Fixed(1)) {
                let like = self.node.input[like].clone();
                edits.push(Edit::Repeat { node: self.place, input, rank, like });
            }
        }
        (shape, edits)
    }

    /// The size of two inputs of a Concat in a dimension along which they are not joined.
    fn alike(&self, a: Dim, b: Dim, repeated: bool) -> Dim {
        match (a, b) {
            (a, b) if a == b => a,
            (Dim::Batch(1), Dim::Fixed(n)) | (Dim::Fixed(n), Dim::Batch(1)) if repeated && n == 1 => Dim::Batch(1),
            (Dim::Unknown, Dim::Fixed(n)) | (Dim::Fixed(n), Dim::Unknown) => Dim::Fixed(n),
            _ => Dim::Unknown,
        }
    }

    pub(super) fn split(&self) -> Option<Vec<Option<Shape>>> {
        let shape = self.shape(0)?;
        let axis = dim::axis(self.int("axis", 0), shape.len())?;
        let parts = i64::try_from(self.node.output.len()).ok()?;
        let sizes = self.list(1, "split");
        let outputs = (0..self.node.output.len()).map(|output| {
            let mut part = shape.to_vec();
            part[axis] = match (&sizes, shape[axis]) {
                (Some(sizes), Dim::Fixed(_)) => sizes.get(output).map_or(Dim::Unknown, |size| Dim::Fixed(*size)),
                (None, Dim::Fixed(size)) if size % parts == 0 => Dim::Fixed(size / parts),
                _ => Dim::Unknown,
            };
            Some(part)
        });
        Some(outputs.collect())
    }
}

fn plus(a: Dim, b: Dim) -> Dim {
    match (a, b) {
        (Dim::Fixed(a), Dim::Fixed(b)) => a.checked_add(b).map_or(Dim::Unknown, Dim::Fixed),
        _ => Dim::Unknown,
    }
}
