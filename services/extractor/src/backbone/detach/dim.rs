//! Sizes of tensors, in which the number of images stands as a symbol.

use std::fmt;

/// The most dimensions of a tensor that shapes are worked out for. ONNX Runtime's operators take no more than 8.
pub(super) const MAX_RANK: usize = 12;

/// One dimension of a shape, or one element of a tensor that holds a shape (and may then be -1 or 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dim {
    /// The same for every batch.
    Fixed(i64),
    /// This many times the number of images; the images are the slower index.
    Batch(i64),
    /// Not known before the graph runs.
    Unknown,
}

/// The shape of a tensor.
pub(super) type Shape = Vec<Dim>;

impl Dim {
    /// The number, if it is fixed.
    pub(super) fn fixed(self) -> Option<i64> {
        match self {
            Dim::Fixed(n) => Some(n),
            Dim::Batch(_) | Dim::Unknown => None,
        }
    }

    /// Product of two sizes. Of two batches nothing is known.
    pub(super) fn times(self, other: Dim) -> Dim {
        use Dim::{Batch, Fixed, Unknown};
        let (product, batch) = match (self, other) {
            (Fixed(a), Fixed(b)) => (a.checked_mul(b), false),
            (Fixed(a), Batch(b)) | (Batch(a), Fixed(b)) => (a.checked_mul(b), true),
            _ => return Unknown,
        };
        match product {
            Some(n) if batch => Batch(n),
            Some(n) => Fixed(n),
            None => Unknown,
        }
    }

    /// The size that two dimensions have after broadcasting.
    pub(super) fn broadcast(self, other: Dim) -> Dim {
        match (self, other) {
            (a, b) if a == b => a,
            (Dim::Fixed(1), b) => b,
            (a, Dim::Fixed(1)) => a,
            // A size that is not one stretches whatever may be one.
            (Dim::Fixed(n), Dim::Unknown) | (Dim::Unknown, Dim::Fixed(n)) => Dim::Fixed(n),
            _ => Dim::Unknown,
        }
    }

    /// Whether it can be one when one image runs.
    pub(super) fn may_be_one(self) -> bool {
        matches!(self, Dim::Fixed(1) | Dim::Unknown)
    }
}

/// Product of sizes.
pub(super) fn product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::Fixed(1), |product, dim| product.times(*dim))
}

/// The shape after broadcasting, as numpy does it.
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Shape {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], index: usize| match (index + shape.len()).checked_sub(rank) {
        Some(index) => shape[index],
        None => Dim::Fixed(1),
    };
    (0..rank).map(|index| at(a, index).broadcast(at(b, index))).collect()
}

/// An axis as ONNX counts it, from the end if negative.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    if (0..rank).contains(&axis) { usize::try_from(axis).ok() } else { None }
}

/// A shape as messages show it.
pub(super) struct Shown<'a>(pub(super) Option<&'a [Dim]>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = self.0 else { return f.write_str("unknown") };
        let texts: Vec<String> = dims
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(n) => n.to_string(),
                Dim::Batch(1) => "batch".into(),
                Dim::Batch(n) => format!("{n} × batch"),
                Dim::Unknown => "?".into(),
            })
            .collect();
        write!(f, "[{}]", texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Dim::*, *};

    #[test]
    fn sizes_multiply_and_broadcast_with_the_batch_as_a_symbol() {
        assert_eq!(product(&[Batch(1), Fixed(12), Fixed(64)]), Batch(768));
        assert_eq!(product(&[Batch(1), Batch(1)]), Unknown);
        assert_eq!(product(&[Fixed(i64::MAX), Fixed(2)]), Unknown);
        assert_eq!(broadcast(&[Batch(1), Fixed(197), Fixed(8)], &[Fixed(8)]), [Batch(1), Fixed(197), Fixed(8)]);
        assert_eq!(broadcast(&[Batch(1), Fixed(1)], &[Fixed(1), Fixed(4)]), [Batch(1), Fixed(4)]);
        assert_eq!(broadcast(&[Batch(1)], &[Unknown]), [Unknown]);
        assert_eq!((axis(-1, 4), axis(4, 4), axis(i64::MIN, 4)), (Some(3), None, None));
    }
}
