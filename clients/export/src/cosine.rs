//! The nodes of heads that go by the angle between embeddings, computed as the trainer does.

use crate::{
    head::{Centre, Matrix, Neighbours},
    writer::{Writer, int},
};

/// Votes that every class has beforehand, over those of all neighbours, as in the trainer.
const PRIOR: f32 = 0.02;
/// The first version of ONNX's operators in which `TopK` takes its number as an input.
const TOP_K_INPUT: i64 = 10;

/// The nearest class mean: `logit = sharpness * cosine`.
pub fn prototypes(
    writer: &mut Writer<'_>,
    centre: &Centre,
    means: &Matrix,
    sharpness: f32,
    embedding: &str,
    logits: &str,
) {
    let cosines = cosines(writer, centre, means, embedding);
    let sharpness = writer.floats("sharpness", &[1], &[sharpness]);
    writer.node("Mul", &[&cosines, &sharpness], logits, vec![]);
}

/// The nearest examples: each votes for its class by its cosine, and `logit = factor * ln(part of the votes)`.
pub fn neighbours(writer: &mut Writer<'_>, head: &Neighbours, embedding: &str, logits: &str) {
    let classes = head.classes;
    let cosines = cosines(writer, &head.centre, &head.examples, embedding);
    let (nearest, indices) = nearest(writer, &cosines, head.nearest);
    let one = writer.floats("one", &[1], &[1.0]);
    let zero = writer.floats("zero", &[1], &[0.0]);
    let above = writer.step("Add", &[&nearest, &one], "votes/weights", vec![]);
    let weights = writer.step("Max", &[&above, &zero], "votes/positive", vec![]);
    // [images, 1, nearest] times [images, nearest, classes].
    let row = writer.integers("votes/row", &[3], &[-1, 1, head.nearest as i64]);
    let weights = writer.step("Reshape", &[&weights, &row], "votes/rows", vec![]);
    let owners = writer.integers("owners", &[head.owners.len()], &head.owners);
    let owners = writer.step("Gather", &[&owners, &indices], "votes/owners", vec![int("axis", 0)]);
    let depth = writer.integers("votes/classes", &[1], &[classes as i64]);
    let off_on = writer.floats("votes/off_on", &[2], &[0.0, 1.0]);
    let owned = writer.step("OneHot", &[&owners, &depth, &off_on], "votes/owned", vec![int("axis", -1)]);
    let sums = writer.step("MatMul", &[&weights, &owned], "votes/sums", vec![]);
    let flat = writer.integers("votes/flat", &[2], &[-1, classes as i64]);
    let votes = writer.step("Reshape", &[&sums, &flat], "votes", vec![]);
    let part = part(writer, &votes, classes);
    let logarithms = writer.step("Log", &[&part], "logarithms", vec![]);
    let factor = writer.floats("factor", &[1], &[head.factor]);
    writer.node("Mul", &[&logarithms, &factor], logits, vec![]);
}

/// The largest cosines and the examples that they are to, `[images, nearest]` each. Of equals the first, as in the trainer.
fn nearest(writer: &mut Writer<'_>, cosines: &str, count: usize) -> (String, String) {
    let outputs = ["graft/head/nearest", "graft/head/indices"];
    if writer.operators < TOP_K_INPUT {
        writer.node_of_many("TopK", &[cosines], &outputs, vec![int("axis", 1), int("k", count as i64)]);
    } else {
        let count = writer.integers("count", &[1], &[count as i64]);
        writer.node_of_many("TopK", &[cosines, &count], &outputs, vec![int("axis", 1)]);
    }
    (outputs[0].to_owned(), outputs[1].to_owned())
}

/// `(votes / all votes + PRIOR / classes) / (1 + PRIOR)`.
fn part(writer: &mut Writer<'_>, votes: &str, classes: usize) -> String {
    let ones = writer.floats("part/ones", &[classes, 1], &vec![1.0; classes]);
    let all = writer.step("MatMul", &[votes, &ones], "part/all", vec![]);
    let least = writer.floats("part/least", &[1], &[f32::MIN_POSITIVE]);
    let all = writer.step("Max", &[&all, &least], "part/positive", vec![]);
    let part = writer.step("Div", &[votes, &all], "part/plain", vec![]);
    let prior = writer.floats("part/prior", &[1], &[PRIOR / classes as f32]);
    let part = writer.step("Add", &[&part, &prior], "part/more", vec![]);
    let whole = writer.floats("part/whole", &[1], &[1.0 + PRIOR]);
    writer.step("Div", &[&part, &whole], "part", vec![])
}

/// The cosines of embeddings to `others`, `[others, dimension]` of length 1: `[images, others]`.
fn cosines(writer: &mut Writer<'_>, centre: &Centre, others: &Matrix, embedding: &str) -> String {
    let dimension = others.columns;
    let mean = writer.floats("centre/mean", &[dimension], &centre.mean);
    let scale = writer.floats("centre/scale", &[dimension], &centre.scale);
    let moved = writer.step("Sub", &[embedding, &mean], "centre/moved", vec![]);
    let x = writer.step("Mul", &[&moved, &scale], "centre/standardised", vec![]);
    // A sum as a product: reductions are written in two ways, for older and newer operator sets.
    let squares = writer.step("Mul", &[&x, &x], "length/squares", vec![]);
    let ones = writer.floats("length/ones", &[dimension, 1], &vec![1.0; dimension]);
    let sum = writer.step("MatMul", &[&squares, &ones], "length/sum", vec![]);
    let length = writer.step("Sqrt", &[&sum], "length", vec![]);
    // A row without direction stays 0.
    let least = writer.floats("length/least", &[1], &[f32::MIN_POSITIVE]);
    let length = writer.step("Max", &[&length, &least], "length/positive", vec![]);
    let unit = writer.step("Div", &[&x, &length], "direction", vec![]);
    let others = others.transposed();
    let others = writer.floats("others", &[others.rows, others.columns], &others.numbers);
    writer.step("MatMul", &[&unit, &others], "cosines", vec![])
}
