//! How many images a graph takes at once.

use super::{cut::Tap, dim::Dim, find::Facts, index::label, shapes::Edit};
use crate::backbone::onnx::GraphProto;

/// How many images a graph takes at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What is known before it is run.
    pub size: BatchSize,
    /// Why, and what was changed in the graph.
    pub reason: String,
}

/// What is known of the images that a graph takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// Any number.
    Any,
    /// One. More would fail, or an image's feature would depend on its neighbours.
    One,
    /// Not known: two images together must be compared with each alone.
    Unproven,
}

impl Batch {
    /// Judge the graph from the shapes that the tapped tensors have. `fixed` is the number that the file fixes.
    pub(super) fn of(facts: Facts<'_, '_>, fixed: Option<i64>, taps: &[Tap]) -> Batch {
        let opened = match fixed {
            None => "the graph takes any number of images".to_owned(),
            Some(n) => format!("the file fixes {n} images at once; opened for any number"),
        };
        let edits = [opened].into_iter().chain(changes(&facts.shapes.edits)).collect::<Vec<_>>().join(", ");
        let apart = |tap: &Tap| facts.shapes.get(&tap.tensor).and_then(|shape| shape.first()) == Some(&Dim::Batch(1));
        if taps.iter().all(apart) {
            return Batch { size: BatchSize::Any, reason: edits };
        }
        Batch { size: BatchSize::Unproven, reason: format!("{edits}; two images are compared with each alone at load") }
    }

    /// One image at a time, if an operator of what is left computes a scale from the whole batch.
    pub(super) fn judge_operators(&mut self, graph: &GraphProto) {
        let scales = |op: &str| matches!(op, "DynamicQuantizeLinear" | "DynamicQuantizeMatMul" | "DynamicQuantizeLSTM");
        if let Some(node) = graph.node.iter().find(|node| scales(node.op_type())) {
            self.size = BatchSize::One;
            self.reason = format!(
                "{} `{}` scales by the range of the whole batch, so that an image's feature would depend on its neighbours",
                node.op_type(),
                label(node)
            );
        }
    }
}

fn changes(edits: &[Edit]) -> impl Iterator<Item = String> {
    let reshapes = edits.iter().filter(|edit| matches!(edit, Edit::Reshape { .. })).count();
    let counts =
        [(reshapes, "Reshape constants changed"), (edits.len() - reshapes, "Concat inputs repeated for each image")];
    counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"))
}
