//! Small convolutional networks with classifiers of several forms.

use super::{Graph, Value};

/// Features of the small graphs.
pub const WIDTH: i64 = 24;

/// Two convolutions, down to `[batch, 24, 8, 8]`, as the tensor `map`.
pub fn trunk(batch: i64) -> Graph {
    trunk_on(Graph::new(&[batch, 3, 32, 32]))
}

/// The same on a graph that was begun.
pub fn trunk_on(mut graph: Graph) -> Graph {
    graph.conv("stem", "images", [16, 3, 3, 3], 2, 1);
    graph.op("stem.relu", "Relu", &["stem"], &[]);
    graph.conv("body", "stem.relu", [WIDTH, 16, 3, 3], 2, 1);
    graph.op("map", "Relu", &["body"], &[]);
    graph
}

/// The trunk, pooled and flattened as the tensor `flat`.
pub fn pooled(batch: i64) -> Graph {
    pool(trunk(batch))
}

/// Pool the trunk of a graph.
pub fn pool(mut graph: Graph) -> Graph {
    graph.op("pool", "GlobalAveragePool", &["map"], &[]);
    graph.op("flat", "Flatten", &["pool"], &[("axis", Value::Int(1))]);
    graph
}

/// A whole network: `logits` and their softmax, `prob`.
pub fn network(batch: i64) -> Graph {
    let mut graph = pooled(batch);
    graph.gemm("logits", "flat", WIDTH, 10);
    graph.op("prob", "Softmax", &["logits"], &[("axis", Value::Int(1))]);
    graph.output("prob", &[batch, 10]);
    graph
}

/// A squeeze-and-excitation block: the map scaled by what two 1×1 convolutions make of its mean.
pub fn excite(graph: &mut Graph, name: &str, input: &str) -> String {
    let tensor = |part: &str| format!("{name}.{part}");
    let squeezed = graph.op(&tensor("squeeze"), "GlobalAveragePool", &[input], &[]);
    let less = graph.conv(&tensor("reduce"), &squeezed, [6, WIDTH, 1, 1], 1, 1);
    let relu = graph.op(&tensor("relu"), "Relu", &[&less], &[]);
    let more = graph.conv(&tensor("expand"), &relu, [WIDTH, 6, 1, 1], 1, 1);
    let gate = graph.op(&tensor("gate"), "Sigmoid", &[&more], &[]);
    graph.op(name, "Mul", &[input, &gate], &[])
}
