//! How many images a graph takes at once.

use super::{cut::Tap, dim::Dim, find::Facts, shapes::Edit};

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
        let edits = match fixed {
            None if facts.shapes.edits.is_empty() => "the graph takes any number of images".to_owned(),
            None => format!("the graph names any number of images; {}", changes(&facts.shapes.edits)),
            Some(n) => format!("the file fixes {n}; the dimension was opened, {}", changes(&facts.shapes.edits)),
        };
        let mixes = |op: &str| matches!(op, "DynamicQuantizeLinear" | "DynamicQuantizeMatMul");
        if facts.index.graph.node.iter().any(|node| mixes(node.op_type())) {
            let reason = "activations are quantized by the range of the whole batch, so that an image's feature would depend on its neighbours";
            return Batch { size: BatchSize::One, reason: reason.into() };
        }
        let apart = |tap: &Tap| facts.shapes.get(&tap.tensor).and_then(|shape| shape.first()) == Some(&Dim::Batch(1));
        if taps.iter().all(apart) {
            return Batch { size: BatchSize::Any, reason: edits };
        }
        Batch { size: BatchSize::Unproven, reason: format!("{edits}; two images are compared with each alone at load") }
    }
}

fn changes(edits: &[Edit]) -> String {
    let reshapes = edits.iter().filter(|edit| matches!(edit, Edit::Reshape { .. })).count();
    format!("{reshapes} Reshape constants and {} Concat inputs changed", edits.len() - reshapes)
}
