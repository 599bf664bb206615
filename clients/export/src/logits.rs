//! The nodes that make logits of embeddings.

use crate::{
    cosine,
    head::{Kind, Linear},
    writer::Writer,
};

/// Add the nodes of a head, from the tensor `embedding` `[images, dimension]` to the tensor `logits` `[images, labels]`.
pub fn write(writer: &mut Writer<'_>, kind: &Kind, embedding: &str, logits: &str) {
    match kind {
        Kind::Linear(layer) | Kind::Sigmoid { linear: layer, .. } => {
            linear(writer, layer, "output", embedding, logits);
        }
        Kind::Perceptron { hidden, output } => {
            let sums = "graft/head/hidden/sums";
            linear(writer, hidden, "hidden", embedding, sums);
            let above = writer.step("Relu", &[sums], "hidden/relu", vec![]);
            linear(writer, output, "output", &above, logits);
        }
        Kind::Prototype { centre, means, sharpness } => {
            cosine::prototypes(writer, centre, means, *sharpness, embedding, logits);
        }
        Kind::Neighbours(neighbours) => cosine::neighbours(writer, neighbours, embedding, logits),
    }
}

/// `x·W + b`.
fn linear(writer: &mut Writer<'_>, layer: &Linear, part: &str, x: &str, sums: &str) {
    let Linear { weight, bias } = layer;
    let constant = writer.floats(&format!("{part}/weight"), &[weight.rows, weight.columns], &weight.numbers);
    let products = writer.step("MatMul", &[x, &constant], &format!("{part}/products"), vec![]);
    let bias = writer.floats(&format!("{part}/bias"), &[bias.len()], bias);
    writer.node("Add", &[&products, &bias], sums, vec![]);
}
