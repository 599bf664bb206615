//! Shapes of what only arranges the numbers anew.

use super::{Edit, Known};
use crate::backbone::detach::dim::{self, Dim, Shape, product};

impl Known<'_, '_> {
    pub(super) fn flatten(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        let axis = match self.int("axis", 1) {
            end if usize::try_from(end).is_ok_and(|end| end == shape.len()) => shape.len(),
            axis => dim::axis(axis, shape.len())?,
        };
        Some(apart(shape, vec![product(&shape[..axis]), product(&shape[axis..])]))
    }

    pub(super) fn transpose(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        match self.list(usize::MAX, "perm") {
            None => Some(shape.iter().rev().copied().collect()),
            Some(order) if order.len() == shape.len() => {
                order.iter().map(|axis| dim::axis(*axis, shape.len()).map(|axis| shape[axis])).collect()
            }
            Some(_) => None,
        }
    }

    pub(super) fn squeeze(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        match self.list(1, "axes") {
            Some(axes) => {
                let axes: Vec<usize> = axes.iter().map(|a| dim::axis(*a, shape.len())).collect::<Option<_>>()?;
                Some(shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| *dim).collect())
            }
            // Every size of one goes, also that of a batch of one image.
            None if self.node.input.len() < 2 && shape.iter().all(|dim| dim.fixed().is_some()) => {
                Some(shape.iter().filter(|dim| **dim != Dim::Fixed(1)).copied().collect())
            }
            None => None,
        }
    }

    pub(super) fn unsqueeze(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        let axes = self.list(1, "axes")?;
        let rank = shape.len().checked_add(axes.len()).filter(|rank| *rank <= dim::MAX_RANK)?;
        let axes: Vec<usize> = axes.iter().map(|axis| dim::axis(*axis, rank)).collect::<Option<_>>()?;
        let mut rest = shape.iter();
        (0..rank).map(|at| if axes.contains(&at) { Some(Dim::Fixed(1)) } else { rest.next().copied() }).collect()
    }

    pub(super) fn gather(&self) -> Option<Shape> {
        let (shape, places) = (self.shape(0)?, self.shape(1)?);
        let axis = dim::axis(self.int("axis", 0), shape.len())?;
        Some([&shape[..axis], places, &shape[axis + 1..]].concat())
    }

    pub(super) fn slice(&self) -> Option<Shape> {
        let mut shape = self.same()?;
        let (starts, ends) = (self.list(1, "starts"), self.list(2, "ends"));
        let axes = match self.list(3, "axes") {
            Some(axes) => axes,
            // Left out: the first ones. There but not known: any.
            None if self.node.input.get(3).is_none_or(String::is_empty) => (0..starts.as_ref()?.len() as i64).collect(),
            None => return Some(vec![Dim::Unknown; shape.len()]),
        };
        let steps = match self.list(4, "steps") {
            Some(steps) => steps,
            None if self.node.input.get(4).is_none_or(String::is_empty) => vec![1; axes.len()],
            None => Vec::new(),
        };
        for (at, axis) in axes.iter().enumerate() {
            let axis = dim::axis(*axis, shape.len())?;
            let bound = |bounds: &Option<Vec<i64>>| bounds.as_ref().and_then(|bounds| bounds.get(at).copied());
            shape[axis] = match (shape[axis], bound(&starts), bound(&ends), steps.get(at)) {
                (Dim::Fixed(size), Some(start), Some(end), Some(1)) => Dim::Fixed(sliced(size, start, end)),
                (dim, Some(0), Some(end), Some(1)) if end >= i64::from(i32::MAX) => dim,
                _ => Dim::Unknown,
            };
        }
        Some(shape)
    }

    /// A Reshape. One that names the number of images as the file fixed it is edited to keep them apart.
    pub(super) fn reshape(&self) -> (Option<Shape>, Option<Edit>) {
        let Some(target) = self.value(1).map(<[Dim]>::to_vec) else {
            // How many dimensions there are is known even where their sizes are not.
            let rank =
                self.shape(1).and_then(|shape| shape.first()?.fixed()).and_then(|rank| usize::try_from(rank).ok());
            return (rank.filter(|rank| *rank <= dim::MAX_RANK).map(|rank| vec![Dim::Unknown; rank]), None);
        };
        let copied = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(0) if self.int("allowzero", 0) == 0 => {
                self.shape(0).and_then(|shape| shape.get(at)).copied().unwrap_or(Dim::Unknown)
            }
            dim => *dim,
        };
        let asked: Shape = target.iter().enumerate().map(copied).collect();
        let Some(from) = self.shape(0) else { return (Some(apart(&[], filled(&asked, Dim::Unknown))), None) };
        match self.freed(from, &asked) {
            Some(freed) => {
                let shape = self.written(from, &target, &freed);
                let edit = shape.map(|shape| Edit::Reshape { node: self.place, shape });
                (edit.is_some().then_some(freed), edit)
            }
            None => (Some(apart(from, filled(&asked, product(from)))), None),
        }
    }

    /// The shape with the images kept apart, if `asked` names their fixed number. In memory, the images are the slower
    /// index of the dimension after all that come before them, so they belong to the first dimension of the new shape
    /// that has as many numbers before it.
    fn freed(&self, from: &[Dim], asked: &[Dim]) -> Option<Shape> {
        let Dim::Batch(each) = product(from) else { return None };
        let numbers = each.checked_mul(self.native)?;
        let before = product(&from[..super::batch_place(from)?]).fixed()?;
        let mut sizes: Vec<i64> = asked.iter().map(|dim| dim.fixed()).collect::<Option<_>>()?;
        let open = sizes.iter().position(|size| *size == -1);
        let named: i64 = sizes.iter().filter(|size| **size != -1).try_fold(1_i64, |a, b| a.checked_mul(*b))?;
        if named < 1 || numbers % named != 0 || (open.is_none() && named != numbers) {
            return None;
        }
        if let Some(open) = open {
            sizes[open] = numbers / named;
        }
        let mut product = 1_i64;
        for (at, size) in sizes.iter().enumerate() {
            // An open dimension takes the images in by itself.
            if product == before && size % self.native == 0 {
                let mut freed: Shape = sizes.iter().map(|size| Dim::Fixed(*size)).collect();
                freed[at] = Dim::Batch(size / self.native);
                return (Some(at) != open).then_some(freed);
            }
            product = product.checked_mul(*size)?;
        }
        None
    }

    /// The operand of a Reshape that makes the shape `freed`: -1 in the place of the images, or 0 to copy their number.
    fn written(&self, from: &[Dim], target: &[Dim], freed: &[Dim]) -> Option<Vec<i64>> {
        let at = super::batch_place(freed)?;
        let mut sizes: Vec<i64> = target.iter().map(|dim| dim.fixed()).collect::<Option<_>>()?;
        let copies = self.int("allowzero", 0) == 0 && from.get(at) == freed.get(at);
        sizes[at] = match sizes.contains(&-1) {
            _ if copies => 0,
            false => -1,
            true => return None,
        };
        Some(sizes)
    }
}

/// The shape `to` of numbers that had the shape `from`. Where not as many numbers come before the images as did before, they
/// are no longer apart, and nothing is known of their dimension.
fn apart(from: &[Dim], to: Shape) -> Shape {
    let kept = match (super::batch_place(from), super::batch_place(&to)) {
        (Some(before), Some(after)) => {
            let numbers = product(&from[..before]);
            numbers.fixed().is_some() && numbers == product(&to[..after])
        }
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let mixed = |dim: Dim| if matches!(dim, Dim::Batch(_)) { Dim::Unknown } else { dim };
    if kept { to } else { to.into_iter().map(mixed).collect() }
}

/// What a slice leaves of `size`; bounds count from the end if negative.
fn sliced(size: i64, start: i64, end: i64) -> i64 {
    let bound = |at: i64| if at < 0 { at.saturating_add(size).max(0) } else { at.min(size) };
    (bound(end) - bound(start)).max(0)
}

/// A shape with -1 put right, given how many numbers there are.
fn filled(asked: &[Dim], numbers: Dim) -> Shape {
    let rest: Shape = asked.iter().filter(|dim| **dim != Dim::Fixed(-1)).copied().collect();
    let open = match (numbers, product(&rest)) {
        (Dim::Fixed(all), Dim::Fixed(named)) if named > 0 && all % named == 0 => Dim::Fixed(all / named),
        (Dim::Batch(all), Dim::Fixed(named)) if named > 0 && all % named == 0 => Dim::Batch(all / named),
        (Dim::Batch(all), Dim::Batch(named)) if named > 0 && all % named == 0 => Dim::Fixed(all / named),
        _ => Dim::Unknown,
    };
    asked.iter().map(|dim| if *dim == Dim::Fixed(-1) { open } else { *dim }).collect()
}
