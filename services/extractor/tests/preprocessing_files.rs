//! A backbone whose preprocessing is said by a file of another project.

#![allow(clippy::expect_used)]

use std::{fs, path::PathBuf};

use graft_extractor::backbone::{
    built_in,
    catalogue::Catalogue,
    provider::{Provider, Providers},
    repository::{folder::Terms, listing::Repository, scan::Scanner},
};
use graft_pull::place;
use tempfile::TempDir;

const DEFAULT: &str = "efficientnet-lite0";

/// timm's way to say what the manifest of the built-in backbone says.
const TIMM: &str = r#"{ "pretrained_cfg": { "input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.875,
    "mean": [0.498, 0.498, 0.498], "std": [0.502, 0.502, 0.502] } }"#;
/// Hugging Face's way.
const HUGGING_FACE: &str = r#"{ "image_processor_type": "ConvNextImageProcessor", "size": { "shortest_edge": 224 },
    "crop_pct": 0.875, "resample": 3, "image_mean": [0.498, 0.498, 0.498], "image_std": [0.502, 0.502, 0.502] }"#;

/// A folder of one backbone, `mine`: the built-in network, a manifest without preprocessing but with `line` at its end, and
/// other files.
fn folder(line: &str, files: &[(&str, &str)]) -> TempDir {
    let built_in = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/backbones/efficientnet-lite0"));
    let manifest = fs::read_to_string(built_in.join("efficientnet-lite0.toml")).expect("a manifest");
    let manifest = manifest.split("[preprocessing]").next().expect("its head").replacen(DEFAULT, "mine", 1);
    let folder = TempDir::new().expect("a folder");
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).expect("a folder");
    fs::write(mine.join("manifest.toml"), manifest + line).expect("a manifest");
    fs::copy(built_in.join("model.onnx"), mine.join("model.onnx")).expect("a model");
    for (name, text) in files {
        fs::write(mine.join(name), text).expect("a file");
    }
    folder
}

async fn load(folder: &TempDir) -> Catalogue {
    let place = place::open_folder(&folder.path().to_string_lossy(), &Vec::new()).expect("a folder");
    let terms =
        Terms { provider: Provider::Cpu, providers: Providers::default(), max_model_bytes: 1 << 30, limit_from: "" };
    let mut scanner = Scanner::new(Repository::new(place), terms);
    scanner.scan().await.expect("a scan");
    let found = built_in::found(Provider::Cpu).expect("the built-in backbones").into_iter().chain(scanner.found());
    Catalogue::new(found, DEFAULT)
}

#[tokio::test]
async fn the_same_said_otherwise_is_the_same_space() {
    let named = r#"preprocessing = "other.json""#;
    for (line, files) in [
        ("", [("config.json", TIMM)].as_slice()),
        ("", &[("preprocessor_config.json", HUGGING_FACE), ("config.json", "not looked at")]),
        (named, &[("other.json", TIMM), ("config.json", "not looked at")]),
        (named, &[("other.json", HUGGING_FACE)]),
    ] {
        let catalogue = load(&folder(line, files)).await;
        let hash = |name| {
            let space = catalogue.get(name).expect("a backbone").description.space.clone();
            space.split_once('@').expect("a hash").1.to_owned()
        };
        assert_eq!(hash("mine"), hash(DEFAULT), "{line} {files:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_with_its_path() {
    let named = r#"preprocessing = "other.json""#;
    let cubic = TIMM.replace("bicubic", "cubic");
    for (line, files, words) in [
        ("", vec![], ["manifest.toml", "preprocessor_config.json", "[preprocessing]"]),
        (named, vec![], ["mine/manifest.toml", "preprocessing", "`other.json`"]),
        (named, vec![("other.json", cubic.as_str())], ["mine/other.json", "interpolation", "cubic"]),
        ("", vec![("config.json", "{ \"model_type\": \"vit\" }")], ["mine/config.json", "size", "missing"]),
        ("", vec![("preprocessor_config.json", "no JSON")], ["mine/preprocessor_config.json", "line 1", "column"]),
        (r#"preprocessing = "../secret.json""#, vec![], ["manifest.toml", "preprocessing", "../secret.json"]),
    ] {
        let error = load(&folder(line, &files)).await.get("mine").expect_err("refused").to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{line} {files:?}: {error}");
    }
}
