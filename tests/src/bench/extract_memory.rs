//! `extract-memory`: the extractor's resident memory after 100,000 rows on one stream, over that after 5,000. The network is so
//! small that the rows rush through: what would grow is what the service itself keeps.

use std::fs;

use anyhow::Result;
use graft_proto::v1::ExtractOptions;
use tempfile::TempDir;

use super::{
    Figure, Target,
    images::{python, rows},
    stream::Stream,
};
use crate::services::Service;

/// Rows before each look.
const FIRST: usize = 5_000;
const LAST: usize = 100_000;
/// Rows under way.
const OUTSTANDING: usize = 512;

const MANIFEST: &str = r#"
name = "small"
model = "model.onnx"
provenance = "made for the benchmark"

[preprocessing]
resize = 32
interpolation = "bilinear"
crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"#;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let folder = TempDir::new()?;
    let small = folder.path().join("small");
    fs::create_dir(&small)?;
    fs::write(small.join("manifest.toml"), MANIFEST)?;
    python("models.py", &["small".as_ref(), small.join("model.onnx").as_path()])?;
    let extractor = Service::extractor(&["--backbones", &folder.path().to_string_lossy()]).await?;
    let options = ExtractOptions { backbone: "small".into(), ..Default::default() };
    let mut stream = Stream::open(&extractor, options).await?;
    let rows = rows(FIRST)?;
    stream.run(&rows, OUTSTANDING).await?;
    let first = extractor.resident_memory()?;
    for _ in 1..LAST / FIRST {
        stream.run(&rows, OUTSTANDING).await?;
    }
    let last = extractor.resident_memory()?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let note = format!("{:.1} MiB after {FIRST} rows, {:.1} MiB after {LAST}", mib(first), mib(last));
    let value = last as f64 / first as f64;
    Ok(vec![Figure { name: "extract-memory", unit: "ratio", value, target: Target::AtMost(1.05), note }])
}
