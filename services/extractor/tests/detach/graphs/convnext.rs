//! A ConvNeXt: depthwise convolutions, normalised and mixed in the order of pixels, pooled, normalised, classified.

use super::{Graph, Value};

/// Features of the last stage.
pub const WIDTH: i64 = 32;

/// Write one: a stem, two stages of a block each, the head.
pub fn convnext() -> Graph {
    let mut graph = Graph::new(&[0, 3, 32, 32]);
    graph.conv("stem", "images", [16, 3, 4, 4], 4, 1);
    block(&mut graph, "stage1", "stem", 16);
    graph.conv("down", "stage1", [WIDTH, 16, 2, 2], 2, 1);
    block(&mut graph, "stage2", "down", WIDTH);
    graph.op("pool", "ReduceMean", &["stage2"], &[("axes", Value::Ints(&[-2, -1])), ("keepdims", Value::Int(0))]);
    graph.layer_norm("norm", "pool", WIDTH);
    graph.gemm("logits", "norm", WIDTH, 10);
    graph.output("logits", &[0, 10]);
    graph
}

fn block(graph: &mut Graph, name: &str, input: &str, width: i64) {
    let tensor = |part: &str| format!("{name}.{part}");
    let depthwise = graph.conv(&tensor("depthwise"), input, [width, 1, 7, 7], 1, width);
    let order = [("perm", Value::Ints(&[0, 2, 3, 1]))];
    let pixels = graph.op(&tensor("pixels"), "Transpose", &[&depthwise], &order);
    let norm = graph.layer_norm(&tensor("norm"), &pixels, width);
    let up = graph.linear(&tensor("up"), &norm, width, 4 * width);
    let gelu = graph.gelu(&tensor("gelu"), &up);
    let down = graph.linear(&tensor("down"), &gelu, 4 * width, width);
    let scale = graph.weights(&tensor("scale"), &[width], 1.0);
    let scaled = graph.op(&tensor("scaled"), "Mul", &[&scale, &down], &[]);
    let planes = graph.op(&tensor("planes"), "Transpose", &[&scaled], &[("perm", Value::Ints(&[0, 3, 1, 2]))]);
    graph.op(name, "Add", &[input, &planes], &[]);
}
