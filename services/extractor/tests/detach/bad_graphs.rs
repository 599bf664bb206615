//! Files that are no backbones: each is refused with a reason.

use std::fs;

use bytes::Bytes;
use graft_extractor::backbone::{
    detach::{BatchSize, Cut, DetachError, detach},
    onnx::{StringStringEntryProto, TensorProto, ValueInfoProto, tensor_proto::DataLocation, tensor_proto::DataType},
};
use prost::Message;

use crate::{
    graphs::{Graph, Value, info, plain, tensor},
    running::{embed_two, open},
};

fn refused(file: Bytes) -> DetachError {
    detach(file, &Cut::default(), None).map(|detached| detached.reason).expect_err("no backbone")
}

#[test]
fn what_is_no_onnx_file_is_refused() {
    assert!(matches!(refused(Bytes::from_static(b"label,pixel1\n")), DetachError::NotOnnx(_)));
    assert!(matches!(refused(Bytes::from_static(b"\x89PNG\r\n\x1a\n")), DetachError::NotOnnx(_)));
    let file = plain::network(1).file();
    assert!(matches!(refused(file.slice(..file.len() / 2)), DetachError::NotOnnx(_)));
    assert_eq!(refused(Bytes::new()), DetachError::Empty);
}

#[test]
fn inputs_that_are_not_one_are_named() {
    let mut graph = plain::network(1);
    graph.proto.input.push(ValueInfoProto { name: Some("mask".into()), ..Default::default() });
    assert_eq!(refused(graph.file()), DetachError::Inputs(vec!["images".into(), "mask".into()]));
    graph.proto.input.clear();
    assert_eq!(refused(graph.file()), DetachError::Inputs(vec![]));
}

#[test]
fn a_graph_that_goes_in_circles_is_refused() {
    let mut graph = plain::network(1);
    graph.proto.node[0].input[0] = "map".into();
    assert!(matches!(refused(graph.file()), DetachError::Cycle(_)));
    let mut twice = plain::network(1);
    twice.op("map", "Identity", &["images"], &[]);
    let found = refused(twice.file());
    assert!(matches!(&found, DetachError::Malformed(reason) if reason.contains("`map`")), "{found}");
}

#[test]
fn a_tensor_that_nothing_makes_is_named() {
    let mut graph = plain::network(1);
    graph.proto.node.retain(|node| node.output[0] != "map");
    let found = refused(graph.file());
    assert!(matches!(&found, DetachError::Malformed(reason) if reason.contains("`map`")), "{found}");
}

#[test]
fn nodes_in_any_order_are_put_into_one() {
    let mut graph = plain::network(1);
    graph.proto.node.reverse();
    embed_two(&detach(graph.file(), &Cut::default(), None).unwrap(), 32);
}

#[test]
fn constants_that_fit_nowhere_are_refused_before_they_are_made() {
    let mut graph = plain::network(1);
    let shape = graph.integers("huge.shape", &[1 << 20, 1 << 20]);
    graph.op("huge", "ConstantOfShape", &[&shape], &[]);
    assert!(matches!(refused(graph.file()), DetachError::TooLarge { tensor, .. } if tensor == "huge"));
    let mut product = plain::network(1);
    product.floats("column", &[1 << 16, 1], &[0.0; 1 << 16]);
    product.floats("row", &[1, 1 << 16], &[0.0; 1 << 16]);
    product.op("outer", "Add", &["column", "row"], &[]);
    assert!(matches!(refused(product.file()), DetachError::TooLarge { tensor, .. } if tensor == "outer"));
    let mut image = plain::network(1);
    image.proto.input = Graph::new(&[1, 3, 100_000, 100_000]).proto.input;
    assert!(matches!(refused(image.file()), DetachError::TooLarge { tensor, .. } if tensor == "images"));
    for dims in [&[i64::MAX, i64::MAX][..], &[-1, 24], &[10, 25]] {
        let mut graph = plain::network(1);
        let weights = graph.proto.initializer.iter_mut().find(|tensor| tensor.name() == "logits.weight").unwrap();
        weights.dims = dims.to_vec();
        let found = refused(graph.file());
        assert!(matches!(&found, DetachError::Malformed(reason) if reason.contains("logits.weight")), "{found}");
    }
    // A matrix of more features than a feature may have.
    let mut wide = plain::pooled(1);
    let shape = wide.integers("wide.shape", &[70_000, 10]);
    wide.op("wide", "ConstantOfShape", &[&shape], &[]);
    wide.op("logits", "MatMul", &["flat", "wide"], &[]);
    wide.output("logits", &[1, 10]);
    let found = refused(wide.file());
    assert!(matches!(&found, DetachError::Weights { shape, .. } if shape == "[70000, 10]"), "{found}");
}

#[test]
fn networks_that_find_objects_are_refused() {
    let mut boxes = plain::trunk(0);
    boxes.conv("places", "map", [12, 24, 1, 1], 1, 1);
    let shape = boxes.integers("boxes.shape", &[0, -1, 4]);
    boxes.op("boxes", "Reshape", &["places", &shape], &[]);
    boxes.output("boxes", &[0, 192, 4]);
    let found = refused(boxes.file());
    assert!(matches!(&found, DetachError::NotClassification(reason) if reason.contains("boxes")), "{found}");
    let mut chosen = plain::network(0);
    chosen.op("kept", "NonMaxSuppression", &["prob", "prob"], &[]);
    chosen.output("kept", &[0, 3]);
    let found = refused(chosen.file());
    assert!(
        matches!(&found, DetachError::NotClassification(reason) if reason.contains("NonMaxSuppression")),
        "{found}"
    );
    let mut map = plain::trunk(0);
    map.conv("segments", "map", [21, 24, 1, 1], 1, 1);
    map.output("segments", &[0, 21, 8, 8]);
    let found = refused(map.file());
    assert!(
        matches!(&found, DetachError::NotClassification(reason) if reason.contains("[batch, 21, 8, 8]")),
        "{found}"
    );
}

#[test]
fn an_operator_that_the_runtime_lacks_is_named_with_the_file() {
    let mut graph = plain::trunk(0);
    graph.op("odd", "Frobnicate", &["map"], &[]);
    graph.op("pool", "GlobalAveragePool", &["odd"], &[]);
    graph.op("flat", "Flatten", &["pool"], &[("axis", Value::Int(1))]);
    graph.gemm("logits", "flat", 24, 10);
    graph.output("logits", &[0, 10]);
    let detached = detach(graph.file(), &Cut::default(), None).unwrap();
    let error = open(&detached, 32, BatchSize::Any).unwrap_err().to_string();
    assert!(error.contains("model.onnx") && error.contains("Frobnicate"), "{error}");
}

/// The network with the weights of its classifier and its stem in another file.
fn with_data_file(location: &str) -> (Graph, Vec<u8>) {
    let mut graph = plain::network(1);
    let mut data = Vec::new();
    for name in ["stem.weight", "logits.weight"] {
        let tensor = graph.proto.initializer.iter_mut().find(|tensor| tensor.name() == name).unwrap();
        let raw = tensor.raw_data.take().unwrap();
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
        tensor.data_location = Some(DataLocation::External as i32);
        tensor.external_data = vec![
            entry("location", location.into()),
            entry("offset", data.len().to_string()),
            entry("length", raw.len().to_string()),
        ];
        data.extend_from_slice(&raw);
    }
    (graph, data)
}

#[test]
fn weights_in_another_file_are_read_or_the_file_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let (graph, data) = with_data_file("weights.bin");
    let detached = || detach(graph.file(), &Cut::default(), Some(folder.path()));
    let missing = detached().unwrap_err().to_string();
    assert!(missing.contains("weights.bin") && missing.contains("stem.weight"), "{missing}");
    fs::write(folder.path().join("weights.bin"), &data).unwrap();
    let apart = detached().unwrap();
    let whole = detach(plain::network(1).file(), &Cut::default(), None).unwrap();
    assert_eq!(embed_two(&apart, 32), embed_two(&whole, 32));
    let mut other = data.clone();
    other[0] ^= 1;
    fs::write(folder.path().join("weights.bin"), other).unwrap();
    assert_ne!(apart.hash, detached().unwrap().hash, "other weights are another model");
    fs::write(folder.path().join("weights.bin"), &data[..data.len() / 2]).unwrap();
    let short = detached().unwrap_err().to_string();
    assert!(short.contains("weights.bin") && short.contains("needed"), "{short}");
    for outside in ["../weights.bin", "/etc/hostname", ""] {
        let (graph, _) = with_data_file(outside);
        let found = detach(graph.file(), &Cut::default(), Some(folder.path())).unwrap_err();
        assert!(matches!(&found, DetachError::External { reason, .. } if reason.contains("folder")), "{found}");
    }
}

#[test]
fn old_files_that_list_their_weights_among_the_inputs_are_taken() {
    let mut graph = plain::network(1);
    let listed: Vec<ValueInfoProto> = graph
        .proto
        .initializer
        .iter()
        .map(|tensor: &TensorProto| info(tensor.name(), DataType::Float, &tensor.dims))
        .collect();
    graph.proto.input.extend(listed);
    let mut model = graph.model();
    model.ir_version = Some(3);
    let detached = detach(model.encode_to_vec().into(), &Cut::default(), None).unwrap();
    assert_eq!(detached.input.name, "images");
    embed_two(&detached, 32);
    // An initializer that nobody needs is left out, with its listing.
    graph.proto.initializer.push(tensor("unused", DataType::Float, &[1 << 20], vec![0; 4 << 20]));
    let pruned = detach(graph.file(), &Cut::default(), None).unwrap();
    assert!(pruned.model.len() < 1 << 20, "{} bytes", pruned.model.len());
}
