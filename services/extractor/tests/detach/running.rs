//! Runs what is left of a graph.

use std::{path::PathBuf, sync::OnceLock};

use graft_extractor::backbone::{
    detach::{BatchSize, Detached},
    session::{Network, Provider, Runtime, Session, SessionError},
};

/// ONNX Runtime; there is one a process.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/onnxruntime/libonnxruntime.so");
        let library = std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| installed.into(), PathBuf::from);
        Runtime::load(&library).expect("ONNX Runtime; run scripts/setup.sh first")
    })
}

/// Open what is left, for square images.
pub fn open(detached: &Detached, side: u32, batch: BatchSize) -> Result<Session, SessionError> {
    detached.input.accept(side, side).expect("a size that the graph takes");
    let network = Network {
        bytes: &detached.model,
        file: "model.onnx",
        input: &detached.input.name,
        shape: detached.input.image_shape(side, side),
        dimension: detached.dimension,
        batch,
    };
    Session::open(runtime(), &network, 2, &Provider::Cpu.into())
}

/// An image of numbers in [-1, 1] that differ from place to place.
pub fn image(side: u32, seed: u32) -> Vec<f32> {
    (0..3 * side * side).map(|at| (((at * (2 * seed + 1)) as f32) * 0.37).sin()).collect()
}

/// Embed two images one by one, and together, with the graph's own batch dimension. Both must give the same; the features
/// are those of the two.
pub fn embed_two(detached: &Detached, side: u32) -> [Vec<f32>; 2] {
    let mut session = open(detached, side, BatchSize::Any).expect("a session");
    let images = [image(side, 1), image(side, 2)];
    let mut run = |pixels: &[f32], count| {
        let mut features = Vec::new();
        session.run(pixels, count, &mut features).expect("features");
        features
    };
    let alone = [run(&images[0], 1), run(&images[1], 1)];
    let together = run(&images.concat(), 2);
    assert_eq!(together.len(), 2 * detached.dimension);
    for (alone, together) in alone.iter().zip(together.chunks(detached.dimension)) {
        assert!(alone.iter().all(|number| number.is_finite()), "finite features");
        let scale = alone.iter().fold(1e-6_f32, |most, number| most.max(number.abs()));
        let apart = alone.iter().zip(together).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= 1e-3 * scale, "a batch of two differs by {apart} of {scale}");
    }
    // Opened as if nothing were known, it is found that images are kept apart.
    let probed = open(detached, side, BatchSize::Unproven).expect("a session");
    assert_eq!(probed.batch(), BatchSize::Any);
    alone
}

/// The cosine of two features.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
