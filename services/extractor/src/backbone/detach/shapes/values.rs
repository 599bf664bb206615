//! What small integer tensors hold: graphs compute shapes from shapes.

use super::Known;
use crate::backbone::detach::{
    dim::{self, Dim, Shape},
    tensors::{self, MAX_VALUES},
};

impl Known<'_, '_> {
    /// What the first output holds, if it is made of shapes and small constants.
    pub(super) fn output_value(&self) -> Option<Shape> {
        let value = match self.node.op_type() {
            "Constant" => tensors::constant(self.node).and_then(|constant| constant.values),
            "Shape" => self.shape_value(),
            "Identity" | "Cast" | "Unsqueeze" | "Squeeze" => self.value(0).map(<[Dim]>::to_vec),
            "Gather" => self.gathered(),
            "Slice" => self.sliced_value(),
            "Concat" => self.joined(),
            "Add" | "Sub" | "Mul" | "Div" => self.computed(),
            "ConstantOfShape" => self.filled(),
            "Equal" => self.compared(),
            "Where" => self.chosen(),
            // A scalar or a list becomes a list.
            "Reshape" => self.value(0).map(<[Dim]>::to_vec),
            _ => None,
        };
        value.filter(|value| value.len() <= MAX_VALUES)
    }

    fn filled(&self) -> Option<Shape> {
        let len = match self.value(0)? {
            [] => 1,
            [len] => usize::try_from(len.fixed()?).ok().filter(|len| *len <= MAX_VALUES)?,
            _ => return None,
        };
        let [value] = tensors::constant(self.node)?.values?[..] else { return None };
        Some(vec![value; len])
    }

    /// 1 where both are the same, 0 where they are not. No number of images is negative.
    fn compared(&self) -> Option<Shape> {
        self.pairs(|a, b| match (a, b) {
            (Dim::Fixed(a), Dim::Fixed(b)) => Dim::Fixed(i64::from(a == b)),
            (Dim::Batch(_), Dim::Fixed(n)) | (Dim::Fixed(n), Dim::Batch(_)) if n < 0 => Dim::Fixed(0),
            _ => Dim::Unknown,
        })
    }

    fn chosen(&self) -> Option<Shape> {
        let (first, [yes, no]) = (self.value(0)?, [self.value(1)?, self.value(2)?]);
        let len = first.len().max(yes.len()).max(no.len());
        let choice = |index| match (at(first, index)?, at(yes, index)?, at(no, index)?) {
            (Dim::Fixed(0), _, no) => Some(no),
            (Dim::Fixed(_), yes, _) => Some(yes),
            (_, yes, no) => Some(if yes == no { yes } else { Dim::Unknown }),
        };
        (0..len).map(choice).collect()
    }

    fn shape_value(&self) -> Option<Shape> {
        let shape = self.shape(0)?;
        let clamp = |at: i64| {
            let rank = shape.len() as i64;
            (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize
        };
        let (start, end) = (clamp(self.int("start", 0)), clamp(self.int("end", i64::MAX)));
        shape.get(start..end).map(<[Dim]>::to_vec)
    }

    fn gathered(&self) -> Option<Shape> {
        let (values, places) = (self.value(0)?, self.fixed_value(1)?);
        places.iter().map(|at| dim::axis(*at, values.len()).map(|at| values[at])).collect()
    }

    fn sliced_value(&self) -> Option<Shape> {
        let values = self.value(0)?;
        let ([start], [end]) = (&self.list(1, "starts")?[..], &self.list(2, "ends")?[..]) else { return None };
        if self.list(4, "steps").is_some_and(|steps| steps != [1]) {
            return None;
        }
        let len = values.len() as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len) as usize;
        values.get(bound(*start)..bound(*end)).map(<[Dim]>::to_vec)
    }

    fn joined(&self) -> Option<Shape> {
        let mut all = Vec::new();
        for input in 0..self.node.input.len() {
            all.extend_from_slice(self.value(input)?);
            if all.len() > MAX_VALUES {
                return None;
            }
        }
        Some(all)
    }

    fn computed(&self) -> Option<Shape> {
        self.pairs(|a, b| calculate(self.node.op_type(), a, b))
    }

    fn pairs(&self, result: impl Fn(Dim, Dim) -> Dim) -> Option<Shape> {
        let (a, b) = (self.value(0)?, self.value(1)?);
        (0..a.len().max(b.len())).map(|index| Some(result(at(a, index)?, at(b, index)?))).collect()
    }
}

/// An element of a list; a single one stands for all.
fn at(values: &[Dim], index: usize) -> Option<Dim> {
    if values.len() == 1 { values.first() } else { values.get(index) }.copied()
}

fn calculate(op: &str, a: Dim, b: Dim) -> Dim {
    let result = match (op, a, b) {
        ("Mul", a, b) => return a.times(b),
        ("Add", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_add(b),
        ("Sub", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_sub(b),
        ("Div", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_div(b),
        ("Div", Dim::Batch(a), Dim::Fixed(b)) if b > 0 && a % b == 0 => return Dim::Batch(a / b),
        _ => None,
    };
    result.map_or(Dim::Unknown, Dim::Fixed)
}
