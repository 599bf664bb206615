//! Networks of 8-bit integers, in the forms that quantizers write.

use graft_extractor::backbone::onnx::tensor_proto::DataType;

use super::{Graph, Value, plain};

/// Steps of an activation: 0 to 255 stand for 0 to 4 behind a Relu.
const STEP: f32 = 4.0 / 255.0;

/// The small network with QuantizeLinear and DequantizeLinear around every weight and activation.
pub fn qdq() -> Graph {
    let mut graph = plain::network(1);
    quantize_weights(&mut graph, &["stem.weight", "body.weight", "logits.weight"]);
    for (tensor, users) in [("stem.relu", "body"), ("map", "pool"), ("flat", "logits")] {
        steps(&mut graph, tensor);
        quantize_activation(&mut graph, tensor, users);
    }
    // The logits too, with a step of their own.
    steps(&mut graph, "logits");
    quantize_activation(&mut graph, "logits", "prob");
    graph
}

/// The same with the image quantized as well, around zero.
pub fn qdq_from_the_image() -> Graph {
    let mut graph = qdq();
    graph.floats("images.step", &[], &[2.0 / 255.0]);
    graph.tensor("images.zero", DataType::Uint8, &[], vec![128]);
    quantize_activation(&mut graph, "images", "stem");
    graph
}

/// The small network whose last product is `QLinearMatMul` of what was quantized before.
pub fn operators() -> Graph {
    let mut graph = plain::pooled(1);
    steps(&mut graph, "flat");
    graph.op("flat.q", "QuantizeLinear", &["flat", "flat.step", "flat.zero"], &[]);
    // Another integer operator in between, so that the product's input was not quantized just before.
    graph.op("flat.kept", "Identity", &["flat.q"], &[]);
    integer_weights(&mut graph, "head", &[plain::WIDTH, 10]);
    steps(&mut graph, "out");
    let inputs = ["flat.kept", "flat.step", "flat.zero", "head", "head.step", "head.zero", "out.step", "out.zero"];
    graph.op("logits.q", "QLinearMatMul", &inputs, &[]);
    graph.op("logits", "DequantizeLinear", &["logits.q", "out.step", "out.zero"], &[]);
    graph.output("logits", &[1, 10]);
    graph
}

/// The small network whose last product is dynamically quantized: its scale is found in each run.
pub fn dynamic() -> Graph {
    let mut graph = plain::pooled(0);
    graph.op("flat.q", "DynamicQuantizeLinear", &["flat"], &[]);
    if let Some(node) = graph.proto.node.last_mut() {
        node.output = vec!["flat.q".into(), "flat.scale".into(), "flat.zero".into()];
    }
    integer_weights(&mut graph, "head", &[plain::WIDTH, 10]);
    graph.op("product", "MatMulInteger", &["flat.q", "head", "flat.zero", "head.zero"], &[]);
    graph.op("product.real", "Cast", &["product"], &[("to", Value::Int(DataType::Float as i64))]);
    graph.op("scale", "Mul", &["flat.scale", "head.step"], &[]);
    graph.op("scaled", "Mul", &["product.real", "scale"], &[]);
    let bias = graph.weights("head.bias", &[10], 0.1);
    graph.op("logits", "Add", &["scaled", &bias], &[]);
    graph.output("logits", &[0, 10]);
    graph
}

/// Step and zero point of an activation.
fn steps(graph: &mut Graph, tensor: &str) {
    graph.floats(&format!("{tensor}.step"), &[], &[STEP]);
    graph.tensor(&format!("{tensor}.zero"), DataType::Uint8, &[], vec![if tensor == "logits" { 128 } else { 0 }]);
}

/// Put a pair of nodes between `tensor` and the node that makes `user`.
fn quantize_activation(graph: &mut Graph, tensor: &str, user: &str) {
    let (step, zero) = (format!("{tensor}.step"), format!("{tensor}.zero"));
    let quantized = graph.op(&format!("{tensor}.q"), "QuantizeLinear", &[tensor, &step, &zero], &[]);
    let real = graph.op(&format!("{tensor}.dq"), "DequantizeLinear", &[&quantized, &step, &zero], &[]);
    let pair = graph.proto.node.split_off(graph.proto.node.len() - 2);
    let place = graph.proto.node.iter().position(|node| node.output[0] == user).expect("the user");
    graph.proto.node[place].input[0] = real;
    graph.proto.node.splice(place..place, pair);
}

/// Weights become integers with one step, and a DequantizeLinear before their node.
fn quantize_weights(graph: &mut Graph, names: &[&str]) {
    for name in names {
        let place = graph.proto.initializer.iter().position(|tensor| tensor.name() == *name).expect("weights");
        let tensor = graph.proto.initializer.remove(place);
        let raw = tensor.raw_data.expect("numbers");
        let values: Vec<f32> = raw.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let step = values.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0;
        let integers = values.iter().map(|value| (value / step).round() as i8 as u8).collect();
        graph.tensor(&format!("{name}.q"), DataType::Int8, &tensor.dims, integers);
        graph.floats(&format!("{name}.step"), &[], &[step]);
        graph.tensor(&format!("{name}.zero"), DataType::Int8, &[], vec![0]);
        let inputs = [format!("{name}.q"), format!("{name}.step"), format!("{name}.zero")];
        graph.op(name, "DequantizeLinear", &inputs.each_ref().map(String::as_str), &[]);
        let node = graph.proto.node.pop().expect("the node");
        graph.proto.node.insert(0, node);
    }
}

fn integer_weights(graph: &mut Graph, name: &str, dims: &[i64]) {
    let len: i64 = dims.iter().product();
    graph.tensor(name, DataType::Int8, dims, (0..len).map(|at| (at * 37 % 251) as u8).collect());
    graph.floats(&format!("{name}.step"), &[], &[0.01]);
    graph.tensor(&format!("{name}.zero"), DataType::Int8, &[], vec![0]);
}
