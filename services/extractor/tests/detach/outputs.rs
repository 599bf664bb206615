//! Which output, and which node before it, is the classifier's.

use graft_extractor::backbone::detach::{Cut, DetachError, Detached, detach};

use crate::{
    graphs::{Graph, Value, plain},
    running::embed_two,
};

fn cut(graph: &Graph) -> Result<Detached, DetachError> {
    detach(graph.file(), &Cut::default(), None)
}

fn refused(graph: &Graph, words: &[&str]) {
    let error = cut(graph).expect_err("no backbone").to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

/// The network with a second classifier on the stem.
fn with_second_head(name: &str, first: bool) -> Graph {
    let mut graph = plain::network(0);
    graph.op("early", "GlobalAveragePool", &["stem.relu"], &[]);
    graph.op("early.flat", "Flatten", &["early"], &[]);
    graph.gemm(name, "early.flat", 16, 10);
    let main = graph.proto.output.pop().unwrap();
    graph.output(name, &[0, 10]);
    graph.proto.output.insert(usize::from(first), main);
    graph
}

#[test]
fn an_auxiliary_head_is_not_the_classifier() {
    for first in [false, true] {
        let named = cut(&with_second_head("aux_logits", first)).unwrap();
        assert_eq!(named.feature_tensor, "flat");
        let deepest = cut(&with_second_head("head2", first)).unwrap();
        assert_eq!(deepest.feature_tensor, "flat");
        assert!(deepest.reason.contains("head2") && deepest.reason.contains("deepest"), "{}", deepest.reason);
    }
}

#[test]
fn a_squeeze_and_excitation_is_no_classifier() {
    let mut graph = plain::trunk(0);
    plain::excite(&mut graph, "excited", "map");
    graph.op("pool", "GlobalAveragePool", &["excited"], &[]);
    graph.op("flat", "Flatten", &["pool"], &[]);
    let headless = {
        let mut graph = graph.clone();
        graph.output("flat", &[0, 24]);
        graph
    };
    refused(&headless, &["Mul `node_excited`", "detach"]);
    let mut gate = graph.clone();
    gate.output("excited", &[0, 24, 8, 8]);
    refused(&gate, &["excited", "[batch, 24, 8, 8]"]);
    graph.gemm("logits", "flat", 24, 10);
    graph.output("logits", &[0, 10]);
    let detached = cut(&graph).unwrap();
    assert_eq!(detached.feature_tensor, "flat");
    embed_two(&detached, 32);
}

#[test]
fn a_convolution_classifies_before_the_pool_or_after_it() {
    let mut before = plain::trunk(1);
    before.conv("logits.map", "map", [10, 24, 1, 1], 1, 1);
    before.op("logits.relu", "Relu", &["logits.map"], &[]);
    before.op("logits", "GlobalAveragePool", &["logits.relu"], &[]);
    before.output("logits", &[1, 10, 1, 1]);
    let mut after = plain::trunk(1);
    after.op("pool", "GlobalAveragePool", &["map"], &[]);
    after.conv("logits", "pool", [16, 24, 1, 1], 1, 1);
    after.output("logits", &[1, 16, 1, 1]);
    let (before, after) = (cut(&before).unwrap(), cut(&after).unwrap());
    assert_eq!((before.feature_tensor.as_str(), before.dimension), ("map", 24));
    assert_eq!((after.feature_tensor.as_str(), after.dimension), ("pool", 24));
    assert_eq!(embed_two(&before, 32), embed_two(&after, 32), "both are the mean of the same map");
}

#[test]
fn the_end_of_a_network_without_a_classifier_is_not_taken_for_one() {
    let mut wide = plain::trunk(0);
    wide.conv("wide", "map", [64, 24, 1, 1], 1, 1);
    wide.op("wide.relu", "Relu", &["wide"], &[]);
    wide.op("pool", "GlobalAveragePool", &["wide.relu"], &[]);
    wide.output("pool", &[0, 64, 1, 1]);
    refused(&wide, &["Conv `node_wide`", "features = "]);
    let mut named = plain::pooled(0);
    named.gemm("image_embeds", "flat", 24, 12);
    named.output("image_embeds", &[0, 12]);
    refused(&named, &["image_embeds", "as a feature is"]);
    let mut rectified = plain::pooled(0);
    rectified.gemm("fc7", "flat", 24, 12);
    rectified.op("relu7", "Relu", &["fc7"], &[]);
    rectified.output("relu7", &[0, 12]);
    refused(&rectified, &["Relu `node_relu7`", "feature"]);
    // Said to be the feature, it is taken.
    let own = Cut { features: vec!["relu7".into()], token: None };
    let detached = detach(rectified.file(), &own, None).unwrap();
    assert_eq!((detached.dimension, detached.classifier_node.as_str()), (12, ""));
    embed_two(&detached, 32);
}

#[test]
fn a_head_for_each_place_or_token_is_none_for_images() {
    let mut graph = plain::trunk(0);
    graph.op("pixels", "Transpose", &["map"], &[("perm", Value::Ints(&[0, 2, 3, 1]))]);
    graph.linear("logits", "pixels", 24, 10);
    graph.op("mean", "ReduceMean", &["logits"], &[("axes", Value::Ints(&[1, 2])), ("keepdims", Value::Int(0))]);
    graph.output("mean", &[0, 10]);
    refused(&graph, &["many tokens or places"]);
    // Text is read so: logits for each of as many places as the image is wide.
    let mut text = Graph::new(&[0, 3, -1, -1]);
    text.conv("map", "images", [24, 3, 3, 3], 2, 1);
    let one = text.op("line", "ReduceMean", &["map"], &[("axes", Value::Ints(&[2])), ("keepdims", Value::Int(0))]);
    let places = text.op("places", "Transpose", &[&one], &[("perm", Value::Ints(&[0, 2, 1]))]);
    text.linear("letters", &places, 24, 10);
    text.output("letters", &[0, 0, 10]);
    refused(&text, &["many tokens or places"]);
}

#[test]
fn logits_may_be_shifted_scaled_and_ranked() {
    let mut graph = plain::pooled(0);
    let logits = graph.linear("logits", "flat", 24, 10);
    let heat = graph.floats("heat", &[], &[0.5]);
    graph.op("hot", "Div", &[&logits, &heat], &[]);
    graph.op("class", "ArgMax", &["hot"], &[("axis", Value::Int(1)), ("keepdims", Value::Int(0))]);
    graph.output("class", &[0]);
    let detached = cut(&graph).unwrap();
    assert_eq!((detached.classifier_op.as_str(), detached.feature_tensor.as_str()), ("MatMul", "flat"));
}
