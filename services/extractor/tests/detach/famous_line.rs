//! The line of networks that made ImageNet famous: the light graphs of PyPI's `onnx`, whose weights are made up and whose
//! structure is theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use graft_extractor::backbone::detach::{BatchSize, Cut, DetachError, Detached, Layout, Precision, detach};

use crate::running::embed_two;

/// What is taken off each, and what is left.
struct Expected {
    file: &'static str,
    node: &'static str,
    op: &'static str,
    feature: &'static str,
    dimension: usize,
}

const fn row(
    file: &'static str,
    node: &'static str,
    op: &'static str,
    feature: &'static str,
    dimension: usize,
) -> Expected {
    Expected { file, node, op, feature, dimension }
}

const LINE: [Expected; 9] = [
    row("bvlc_alexnet", "n22", "Gemm", "r22", 4096),
    row("zfnet512", "n20", "Gemm", "r19", 1024),
    row("vgg19", "n44", "Gemm", "r44", 4096),
    row("inception_v1", "n142", "Gemm", "r141", 1024),
    row("inception_v2", "n507", "Gemm", "r506", 1024),
    row("resnet50", "n174", "Gemm", "r173", 2048),
    row("densenet121", "n909", "Conv", "r908", 1024),
    row("squeezenet", "n62", "Conv", "r61", 512),
    row("shufflenet", "n201", "Gemm", "r200", 544),
];

/// Where the graphs are: in the Python packages of the tests, unless the environment names a folder.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("GRAFT_LIGHT_GRAPHS") {
        return folder.into();
    }
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let pythons = fs::read_dir(&libraries).into_iter().flatten().flatten();
    let folders = pythons.map(|python| python.path().join("site-packages/onnx/backend/test/data/light"));
    folders.filter(|folder| folder.is_dir()).last().unwrap_or_else(|| {
        panic!(
            "no package `onnx` in {}: run scripts/venv.sh, or name the folder in GRAFT_LIGHT_GRAPHS",
            libraries.display()
        )
    })
}

fn take_apart(expected: &Expected) -> Detached {
    let path = folder().join(format!("light_{}.onnx", expected.file));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run scripts/venv.sh", path.display()));
    let detached =
        detach(bytes.into(), &Cut::default(), None).unwrap_or_else(|error| panic!("{}: {error}", expected.file));
    let found = (detached.classifier_node.as_str(), detached.classifier_op.as_str(), detached.feature_tensor.as_str());
    assert_eq!(found, (expected.node, expected.op, expected.feature), "{}", expected.file);
    assert_eq!(detached.dimension, expected.dimension, "{}", expected.file);
    assert!(detached.reason.contains(expected.op), "{}", detached.reason);
    assert_eq!(
        (detached.input.layout, detached.input.height, detached.input.width),
        (Layout::Nchw, Some(224), Some(224))
    );
    assert_eq!(detached.precision, Precision::Fp32);
    detached
}

#[test]
fn each_network_of_the_line_loses_its_classifier_and_embeds_any_number_of_images() {
    for expected in &LINE {
        let detached = take_apart(expected);
        println!(
            "{}: {} {} taken off, {} numbers of `{}`, {} MB of weights; {}; {}",
            expected.file,
            detached.classifier_op,
            detached.classifier_node,
            detached.dimension,
            detached.feature_tensor,
            detached.weight_bytes / 1_000_000,
            detached.reason,
            detached.batch.reason,
        );
        assert_eq!(detached.batch.size, BatchSize::Any, "{}: {}", expected.file, detached.batch.reason);
        embed_two(&detached, 224);
    }
}

#[test]
fn what_lost_its_classifier_is_not_cut_again() {
    for expected in &LINE {
        let detached = take_apart(expected);
        let again = detach(detached.model, &Cut::default(), None).map(|again| again.classifier_node);
        let Err(DetachError::NoClassifier { at, .. }) = again else { panic!("{}: {again:?}", expected.file) };
        println!("{}: {at}", expected.file);
    }
}
