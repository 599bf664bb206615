//! Half precision and 8-bit integers.

use graft_extractor::backbone::{
    detach::{BatchSize, Cut, Detached, Precision, detach},
    onnx::ModelProto,
};
use prost::Message;

use crate::{
    graphs::{Graph, plain, quantized},
    running::{cosine, embed_two, image, open},
};

#[test]
fn a_half_precision_network_takes_and_gives_full_precision() {
    let mut graph = plain::pool(plain::trunk_on(Graph::new_half(&[1, 3, 32, 32])));
    graph.gemm("logits", "flat", plain::WIDTH, 10);
    graph.output("logits", &[1, 10]);
    let half = detach(graph.file(), &Cut::default(), None).unwrap();
    assert_eq!((half.precision, half.feature_tensor.as_str(), half.dimension), (Precision::Fp16, "flat", 24));
    let full = detach(plain::network(1).file(), &Cut::default(), None).unwrap();
    assert_eq!(full.precision, Precision::Fp32);
    for (half, full) in embed_two(&half, 32).iter().zip(&embed_two(&full, 32)) {
        let likeness = cosine(half, full);
        assert!((0.9999..0.999_999_99).contains(&likeness), "{likeness}: the same but for 16 bits");
    }
}

#[test]
fn a_quantized_network_gives_the_real_numbers_before_its_classifier() {
    let quantized = detach(quantized::qdq().file(), &Cut::default(), None).unwrap();
    assert_eq!(quantized.precision, Precision::Int8);
    assert_eq!((quantized.classifier_node.as_str(), quantized.feature_tensor.as_str()), ("node_logits", "flat.dq"));
    assert!(quantized.reason.contains("behind Softmax, DequantizeLinear, QuantizeLinear"), "{}", quantized.reason);
    let full = detach(plain::network(1).file(), &Cut::default(), None).unwrap();
    for (quantized, full) in embed_two(&quantized, 32).iter().zip(&embed_two(&full, 32)) {
        let likeness = cosine(quantized, full);
        assert!((0.98..0.999_999).contains(&likeness), "{likeness}: the same but for 8 bits");
    }
}

#[test]
fn a_fourth_channel_of_zeros_changes_no_bit() {
    let graph = quantized::qdq_from_the_image();
    let written = |opset| {
        let mut model = graph.model();
        model.opset_import[0].version = Some(opset);
        detach(model.encode_to_vec().into(), &Cut::default(), None).unwrap()
    };
    let stem = |detached: &Detached| {
        let graph = ModelProto::decode(detached.model.clone()).unwrap().graph.unwrap();
        let conv = graph.node.iter().find(|node| node.op_type() == "Conv").unwrap();
        let weights = graph.node.iter().find(|node| node.output[0] == conv.input[1]).unwrap();
        let held = graph.initializer.iter().find(|tensor| tensor.name() == weights.input[0]).unwrap();
        (held.dims.clone(), graph.initializer.iter().filter(|tensor| tensor.name() == "stem.weight.q").count())
    };
    // Before operator set 13, 8-bit integers cannot be padded.
    let [narrow, wide] = [12, 13].map(written);
    assert_eq!(stem(&narrow), (vec![16, 3, 3, 3], 1));
    assert_eq!(stem(&wide), (vec![16, 4, 3, 3], 0), "what it was made of is gone");
    assert_eq!((wide.precision, wide.batch.size), (Precision::Int8, narrow.batch.size));
    assert_eq!(embed_two(&narrow, 32), embed_two(&wide, 32));
}

#[test]
fn an_integer_product_gives_what_was_quantized_for_it() {
    let operators = detach(quantized::operators().file(), &Cut::default(), None).unwrap();
    assert_eq!((operators.classifier_op.as_str(), operators.feature_tensor.as_str()), ("QLinearMatMul", "flat.kept"));
    let full = detach(plain::network(1).file(), &Cut::default(), None).unwrap();
    for (integers, full) in embed_two(&operators, 32).iter().zip(&embed_two(&full, 32)) {
        assert!(cosine(integers, full) > 0.99);
    }
    let dynamic = detach(quantized::dynamic().file(), &Cut::default(), None).unwrap();
    assert_eq!((dynamic.classifier_op.as_str(), dynamic.feature_tensor.as_str()), ("MatMulInteger", "flat"));
    assert_eq!(dynamic.precision, Precision::Fp32, "nothing that is left is quantized");
    assert_eq!(dynamic.batch.size, BatchSize::Any, "{}", dynamic.batch.reason);
}

#[test]
fn what_is_quantized_by_the_whole_batch_runs_one_image_at_a_time() {
    let mut graph = quantized::dynamic();
    graph.gemm("more", "logits", 10, 6);
    graph.proto.output.clear();
    graph.output("more", &[0, 6]);
    let detached = detach(graph.file(), &Cut::default(), None).unwrap();
    assert_eq!((detached.precision, detached.batch.size), (Precision::Int8, BatchSize::One));
    assert!(detached.batch.reason.contains("neighbours"), "{}", detached.batch.reason);
    let images = [image(32, 1), image(32, 2).iter().map(|number| number / 8.0).collect()];
    let mut session = open(&detached, 32, detached.batch.size).unwrap();
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    session.run(&images[1], 1, &mut alone).unwrap();
    session.run(&images.concat(), 2, &mut together).unwrap();
    assert_eq!(together.len(), 20);
    assert_eq!(alone, together[10..], "its neighbour changes nothing");
    // Left to the probe, the same is found by running it.
    let probed = open(&detached, 32, BatchSize::Unproven).unwrap();
    assert_eq!(probed.batch(), BatchSize::One);
}
