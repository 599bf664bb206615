//! Tensors of the backbone that are named as ours are called otherwise.

use graft_onnx::GraphProto;

use crate::{OUTPUTS, writer::PREFIX};

/// Rename every tensor of a backbone whose name is one that a head brings.
pub fn set_apart(graph: &mut GraphProto) {
    let mut all = Vec::new();
    visit(graph, &mut |name| all.push(name.clone()));
    if !all.iter().any(|name| is_ours(name)) {
        return;
    }
    let mut prefix = "backbone/".to_owned();
    while all.iter().any(|name| name.starts_with(&prefix)) {
        prefix.insert(0, '_');
    }
    visit(graph, &mut |name| {
        if is_ours(name) {
            name.insert_str(0, &prefix);
        }
    });
}

fn is_ours(name: &str) -> bool {
    OUTPUTS.contains(&name) || name.starts_with(PREFIX)
}

/// Every name of a tensor in a graph and in those within it.
fn visit(graph: &mut GraphProto, see: &mut impl FnMut(&mut String)) {
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.filter_map(|info| info.name.as_mut()).for_each(&mut *see);
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|tensor| tensor.values.as_mut());
    let constants = graph.initializer.iter_mut().chain(sparse);
    constants.filter_map(|tensor| tensor.name.as_mut()).for_each(&mut *see);
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(&mut *see);
        for attribute in &mut node.attribute {
            let within = attribute.g.iter_mut().chain(&mut attribute.graphs);
            within.for_each(|graph| visit_within(graph, see));
        }
    }
}

/// As a value, so that the recursion needs no endless type.
fn visit_within(graph: &mut GraphProto, see: &mut dyn FnMut(&mut String)) {
    visit(graph, &mut |name: &mut String| see(name));
}
