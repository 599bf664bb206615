//! Who makes which tensor, in which order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};

use super::DetachError;
use crate::backbone::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// A graph's nodes with their order and their tensors.
pub(super) struct Index<'a> {
    pub(super) graph: &'a GraphProto,
    /// Every node, after all those that feed it.
    pub(super) order: Vec<usize>,
    makers: HashMap<&'a str, usize>,
    /// Tensors that are the same for every image.
    constants: HashSet<&'a str>,
}

impl<'a> Index<'a> {
    pub(super) fn new(graph: &'a GraphProto) -> Result<Index<'a>, DetachError> {
        let mut makers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for tensor in node.output.iter().filter(|tensor| !tensor.is_empty()) {
                if makers.insert(tensor.as_str(), index).is_some() {
                    return Err(DetachError::Malformed(format!("the tensor `{tensor}` is made by two nodes")));
                }
            }
        }
        let order = sort(graph, &makers)?;
        let mut index = Index { graph, order, makers, constants: HashSet::new() };
        index.constants = index.find_constants();
        Ok(index)
    }

    /// The node that makes `tensor`.
    pub(super) fn maker(&self, tensor: &str) -> Option<&'a NodeProto> {
        self.makers.get(tensor).map(|index| &self.graph.node[*index])
    }

    /// The place of the node that makes `tensor`.
    pub(super) fn maker_place(&self, tensor: &str) -> Option<usize> {
        self.makers.get(tensor).copied()
    }

    /// Whether `tensor` is the same for every image: an initializer, or made of such alone.
    pub(super) fn is_constant(&self, tensor: &str) -> bool {
        self.constants.contains(tensor)
    }

    /// Check that every tensor that a node takes is made, given or held by the graph.
    pub(super) fn require_makers(&self) -> Result<(), DetachError> {
        let given: HashSet<&str> = self.graph.input.iter().map(|input| input.name()).collect();
        for node in &self.graph.node {
            let there = |tensor: &str| {
                tensor.is_empty()
                    || self.is_constant(tensor)
                    || given.contains(tensor)
                    || self.makers.contains_key(tensor)
            };
            if let Some(tensor) = node.input.iter().find(|tensor| !there(tensor)) {
                let found = format!("`{}` takes the tensor `{tensor}`, which nothing makes", label(node));
                return Err(DetachError::Malformed(found));
            }
        }
        Ok(())
    }

    /// Whether `tensor` is made from `source`.
    pub(super) fn depends_on(&self, tensor: &str, source: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open: Vec<usize> = self.maker_place(tensor).into_iter().collect();
        while let Some(place) = open.pop() {
            for needed in feeds(&self.graph.node[place]) {
                if needed == source {
                    return true;
                }
                open.extend(self.maker_place(needed).filter(|place| seen.insert(*place)));
            }
        }
        false
    }

    /// Nodes on the longest way from the input to each node, itself counted.
    pub(super) fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.graph.node.len()];
        for place in &self.order {
            let before = feeds(&self.graph.node[*place]).into_iter().filter_map(|tensor| self.maker_place(tensor));
            depths[*place] = before.map(|place| depths[place]).max().unwrap_or(0) + 1;
        }
        depths
    }

    fn find_constants(&self) -> HashSet<&'a str> {
        let mut constants: HashSet<&str> = self.graph.initializer.iter().map(TensorProto::name).collect();
        let sparse = self.graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        constants.extend(sparse.map(TensorProto::name));
        for place in &self.order {
            let node = &self.graph.node[*place];
            let random = node.op_type().starts_with("Random") || matches!(node.op_type(), "Bernoulli" | "Multinomial");
            if !random && feeds(node).into_iter().all(|tensor| constants.contains(tensor)) {
                constants.extend(node.output.iter().map(String::as_str));
            }
        }
        constants
    }
}

/// Every tensor that a node needs, also for the graphs inside it.
pub(super) fn feeds(node: &NodeProto) -> Vec<&str> {
    let mut tensors: Vec<&str> = node.input.iter().map(String::as_str).filter(|tensor| !tensor.is_empty()).collect();
    let mut graphs: Vec<&GraphProto> = inner_graphs(node).collect();
    while let Some(graph) = graphs.pop() {
        // Names that the inner graph makes itself are nobody's outside, and are found nowhere.
        tensors.extend(graph.output.iter().map(|output| output.name()));
        for node in &graph.node {
            tensors.extend(node.input.iter().map(String::as_str).filter(|tensor| !tensor.is_empty()));
            graphs.extend(inner_graphs(node));
        }
    }
    tensors
}

fn inner_graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Kahn's order, earliest node first, so that a graph that is in order stays as it is.
fn sort(graph: &GraphProto, makers: &HashMap<&str, usize>) -> Result<Vec<usize>, DetachError> {
    let mut waits_for = vec![0_usize; graph.node.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (place, node) in graph.node.iter().enumerate() {
        for maker in feeds(node).into_iter().filter_map(|tensor| makers.get(tensor)) {
            waits_for[place] += 1;
            users[*maker].push(place);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..graph.node.len()).filter(|place| waits_for[*place] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for user in &users[place] {
            waits_for[*user] -= 1;
            if waits_for[*user] == 0 {
                ready.push(Reverse(*user));
            }
        }
    }
    match waits_for.iter().position(|waits| *waits > 0) {
        Some(place) => Err(DetachError::Cycle(label(&graph.node[place]))),
        None => Ok(order),
    }
}

/// A node's name; that of its output where it has none.
pub(super) fn label(node: &NodeProto) -> String {
    match node.name() {
        "" => node.output.first().cloned().unwrap_or_default(),
        name => name.to_owned(),
    }
}

/// An attribute of a node.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// An integer attribute, or what it is when left out.
pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).and_then(|attribute| attribute.i).unwrap_or(default)
}

/// A list of integers; `None` when left out.
pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}
