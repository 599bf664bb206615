//! Tensors that a manifest names, and the form of the input.

use graft_extractor::backbone::{
    detach::{BatchSize, Cut, DetachError, Layout, detach},
    onnx::tensor_proto::DataType,
};

use crate::{
    graphs::{Graph, Value, info, plain},
    running::{embed_two, image, open},
};

fn named(features: &[&str]) -> Cut {
    Cut { features: features.iter().map(|name| (*name).to_owned()).collect(), token: None }
}

#[test]
fn several_tensors_stand_one_behind_the_other() {
    let file = plain::network(1).file();
    let detached = detach(file.clone(), &named(&["stem.relu", "flat"]), None).unwrap();
    assert_eq!((detached.feature_tensor.as_str(), detached.dimension), ("stem.relu + flat", 40));
    let both = embed_two(&detached, 32);
    let flat = embed_two(&detach(file.clone(), &named(&["flat"]), None).unwrap(), 32);
    let stem = embed_two(&detach(file, &named(&["stem.relu"]), None).unwrap(), 32);
    for image in 0..2 {
        assert_eq!(both[image], [stem[image].clone(), flat[image].clone()].concat());
    }
}

#[test]
fn a_tensor_that_is_no_feature_is_refused_with_what_is_there() {
    let file = plain::network(1).file();
    let refused = |tensor: &str| detach(file.clone(), &named(&[tensor]), None).unwrap_err();
    assert_eq!(refused("Stem.ReLU"), DetachError::NoTensor("Stem.ReLU".into(), "; there is stem, stem.relu".into()));
    assert!(matches!(refused("images"), DetachError::NoTensor(..)));
    assert!(matches!(refused("stem.weight"), DetachError::NoTensor(..)));
}

/// The network for `[batch, height, width, 3]`, with the Transpose that exporters put first.
fn of_pixels(shape: &[i64]) -> Graph {
    let mut graph = plain::network(0);
    graph.proto.input = vec![info("pixels", DataType::Float, shape)];
    graph.op("images", "Transpose", &["pixels"], &[("perm", Value::Ints(&[0, 3, 1, 2]))]);
    let first = graph.proto.node.pop().unwrap();
    graph.proto.node.insert(0, first);
    graph
}

#[test]
fn images_may_come_as_planes_or_as_pixels() {
    let planes = detach(plain::network(0).file(), &Cut::default(), None).unwrap();
    assert_eq!((planes.input.layout, planes.input.height), (Layout::Nchw, Some(32)));
    let mut expected = Vec::new();
    let sample = image(32, 1);
    open(&planes, 32, BatchSize::Any).unwrap().run(&sample, 1, &mut expected).unwrap();
    let by_pixel: Vec<f32> = (0..3 * 32 * 32).map(|at| sample[(at % 3) * 32 * 32 + at / 3]).collect();
    for shape in [[0, 32, 32, 3], [1, 32, 32, 3], [0, 0, 0, 0]] {
        let pixels = detach(of_pixels(&shape).file(), &Cut::default(), None).unwrap();
        assert_eq!(pixels.input.layout, Layout::Nhwc, "{shape:?}");
        let mut found = Vec::new();
        open(&pixels, 32, BatchSize::Unproven).unwrap().run(&by_pixel, 1, &mut found).unwrap();
        assert_eq!(expected, found, "{shape:?}");
    }
}

#[test]
fn images_of_another_size_or_kind_are_refused() {
    let detached = detach(plain::network(0).file(), &Cut::default(), None).unwrap();
    let refused = detached.input.accept(224, 224).unwrap_err().to_string();
    assert!(refused.contains("32 × 32") && refused.contains("224 × 224"), "{refused}");
    for (element, shape) in [
        (DataType::Uint8, &[0, 3, 32, 32][..]),
        (DataType::Float, &[0, 1, 28, 28]),
        (DataType::Float, &[0, 784]),
        (DataType::Int64, &[0, 128]),
    ] {
        let mut graph = plain::network(0);
        graph.proto.input = vec![info("images", element, shape)];
        let refused = detach(graph.file(), &Cut::default(), None).unwrap_err();
        assert!(matches!(refused, DetachError::Input { .. }), "{refused}");
        println!("{refused}");
    }
}

#[test]
fn a_shape_with_the_number_of_images_in_it_does_not_prove_that_they_are_apart() {
    let mut graph = plain::pooled(0);
    graph.op("all", "Shape", &["images"], &[]);
    graph.integers("first", &[0]);
    graph.integers("width", &[plain::WIDTH]);
    graph.op("number", "Gather", &["all", "first"], &[("axis", Value::Int(0))]);
    graph.op("turned", "Concat", &["width", "number"], &[("axis", Value::Int(0))]);
    graph.op("back", "Concat", &["number", "width"], &[("axis", Value::Int(0))]);
    graph.op("mixed", "Reshape", &["flat", "turned"], &[]);
    graph.op("weighed", "Softmax", &["mixed"], &[("axis", Value::Int(0))]);
    graph.op("restored", "Reshape", &["weighed", "back"], &[]);
    graph.gemm("logits", "restored", plain::WIDTH, 10);
    graph.output("logits", &[0, 10]);
    let detached = detach(graph.file(), &Cut::default(), None).unwrap();
    assert_eq!((detached.feature_tensor.as_str(), detached.batch.size), ("restored", BatchSize::Unproven));
    assert_eq!(open(&detached, 32, detached.batch.size).unwrap().batch(), BatchSize::One);
}

#[test]
fn a_batch_that_cannot_be_opened_runs_one_image_at_a_time() {
    // The images are added up along the batch, by an operator whose shapes are not worked out.
    let mut graph = plain::pooled(1);
    graph.op("sum", "ReduceSum", &["flat"], &[("keepdims", Value::Int(1))]);
    graph.op("mixed", "Add", &["flat", "sum"], &[]);
    graph.op("noted", "CumSum", &["mixed", "axis"], &[]);
    graph.integer("axis", 0);
    graph.gemm("logits", "noted", plain::WIDTH, 10);
    graph.output("logits", &[1, 10]);
    let detached = detach(graph.file(), &Cut::default(), None).unwrap();
    assert_eq!(detached.batch.size, BatchSize::Unproven, "{}", detached.batch.reason);
    let mut session = open(&detached, 32, detached.batch.size).unwrap();
    assert_eq!(session.batch(), BatchSize::One);
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    session.run(&image(32, 2), 1, &mut alone).unwrap();
    session.run(&[image(32, 1), image(32, 2)].concat(), 2, &mut together).unwrap();
    assert_eq!(alone, together[24..]);
}
