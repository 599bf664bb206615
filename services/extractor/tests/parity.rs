//! What the extractor computes against the reference, which Pillow, torchvision's arithmetic and Python's ONNX Runtime made
//! (`tests/data/reference/README.md`).

#![allow(clippy::expect_used)]

use std::{fs, path::PathBuf};

use graft_extractor::{
    backbone::{
        built_in,
        session::{Provider, Runtime, Session},
    },
    decode::{Limits, RawPixels, Source, decode},
    preprocess::Preprocessor,
};
use safetensors::SafeTensors;

const BACKBONE: &str = "efficientnet-lite0-imagenet";

fn reference(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/reference")).join(name)
}

/// The library that the set-up installs, unless the environment names one.
fn library() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/onnxruntime/libonnxruntime.so");
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| installed.into(), PathBuf::from)
}

fn images() -> Vec<(String, Source)> {
    let mut images = Vec::new();
    for name in ["astronaut.png", "chelsea.png", "coffee.jpg", "rocket.jpg"] {
        let bytes = fs::read(reference("images").join(name)).expect("a photo");
        images.push((name.split('.').next().expect("a stem").to_owned(), Source::Encoded(bytes.into())));
    }
    let text = fs::read_to_string(reference("fashion8.csv")).expect("rows");
    let rows = text.lines().filter(|line| !line.starts_with("label"));
    for (index, row) in rows.enumerate() {
        let data: Vec<u8> = row.split(',').skip(1).map(|pixel| pixel.parse().expect("a pixel")).collect();
        let pixels = RawPixels { height: 28, width: 28, channels: 1, data: data.into() };
        images.push((format!("fashion{index}"), Source::Pixels(pixels)));
    }
    assert_eq!(images.len(), 12);
    images
}

fn tensor(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let tensor = file.tensor(name).ok()?;
    Some(tensor.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

#[test]
fn pixels_and_embeddings_are_those_of_the_reference() {
    let bytes = fs::read(reference("parity.safetensors")).expect("the reference");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let entry = built_in::entry(BACKBONE, Provider::Cpu).expect("the built-in backbone");
    let runtime = Runtime::load(&library()).expect("ONNX Runtime; run scripts/setup.sh first");
    let mut session = Session::open(&runtime, &entry.network(), 2, &Provider::Cpu.into()).expect("a session");
    let mut preprocessor = Preprocessor::new(&entry.preprocessing);
    let (mut slot, mut feature) = (vec![0.0; preprocessor.output_len()], Vec::new());
    let mut compared = 0;
    for (name, source) in images() {
        let jpeg = matches!(name.as_str(), "coffee" | "rocket");
        let image = decode(&source, &Limits::default()).expect("an image");
        preprocessor.run(&image, &mut slot);
        if let Some(expected) = tensor(&file, &format!("{name}.pixels")) {
            let (most, mean) = difference(&slot, &expected);
            println!("{name}: largest difference {most:.5}, mean {mean:.5}");
            if jpeg {
                assert!(mean < 0.02, "{name}: mean {mean}");
            } else {
                assert!(most <= 0.02 && mean < 0.005, "{name}: largest {most}, mean {mean}");
            }
            compared += 1;
        }
        session.run(&slot, 1, &mut feature).expect("a feature");
        let expected = tensor(&file, &format!("{name}.embedding")).expect("an embedding");
        let likeness = cosine(&feature, &expected);
        println!("{name}: cosine {likeness:.7}");
        assert!(likeness >= if jpeg { 0.999 } else { 0.9999 }, "{name}: cosine {likeness}");
    }
    assert_eq!(compared, 6);
}

fn difference(a: &[f32], b: &[f32]) -> (f32, f32) {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    (differences.clone().fold(0.0, f32::max), differences.sum::<f32>() / a.len() as f32)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
