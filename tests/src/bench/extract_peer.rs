//! `extract-peer`: the same ONNX file and JPEGs through LitServe, at the best of its settings: images/s of the extractor over its,
//! with the network as it is and in int8, and p99 over its, with as many images under way.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use graft_proto::v1::{ExtractOptions, Image};
use tempfile::TempDir;

use super::{
    Figure, Target,
    images::{jpegs, python},
    litserve::{LitServe, Settings, body},
    stream::{Stream, quantile},
};
use crate::{
    pictures::encoded,
    services::{Service, root},
};

/// JPEGs in one turn, and turns of each side.
const JPEGS: usize = 400;
const TURNS: usize = 3;
/// Images under way.
const OUTSTANDING: usize = 32;
/// JPEGs by which the best of the peer's settings is found.
const TRIAL: usize = 200;

/// The peer's settings: what two cores allow.
const SETTINGS: [Settings; 4] = [
    Settings { workers: 2, threads: 1, batch: 8 },
    Settings { workers: 2, threads: 1, batch: 1 },
    Settings { workers: 1, threads: 2, batch: 8 },
    Settings { workers: 1, threads: 2, batch: 16 },
];

/// What a side did: images, seconds, and how long each image took.
#[derive(Default)]
struct Side {
    seconds: f64,
    took: Vec<Duration>,
}

impl Side {
    fn rate(&self) -> f64 {
        self.took.len() as f64 / self.seconds
    }

    fn add(&mut self, begun: Instant, took: Vec<Duration>) {
        self.seconds += begun.elapsed().as_secs_f64();
        self.took.extend(took);
    }
}

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let folder = TempDir::new()?;
    let jpegs = jpegs(JPEGS)?;
    let fp32 = root().join("services/extractor/backbones/efficientnet-lite0/model.onnx");
    let int8 = quantised(&fp32, folder.path(), &jpegs)?;
    let backbones = backbones(folder.path(), &int8)?;
    let mut figures = Vec::new();
    for (names, backbone, model, least) in [
        (["extract-peer-fp32", "extract-peer-fp32-p99"], "efficientnet-lite0", &fp32, 1.5),
        (["extract-peer-int8", "extract-peer-int8-p99"], "int8", &int8, 1.9),
    ] {
        let (ours, theirs, settings) = compare(&backbones, backbone, model, &jpegs).await?;
        let p99 = [&ours, &theirs].map(|side| quantile(&side.took, 0.99));
        let [rate, peer] = [ours.rate(), theirs.rate()];
        let Settings { workers, threads, batch } = settings;
        let note = format!(
            "{rate:.0} images/s, LitServe {peer:.0} with {workers} workers of {threads} threads, batches of {batch}"
        );
        let target = Target::AtLeast(least);
        figures.push(Figure { name: names[0], unit: "ratio", value: rate / peer, target, note });
        let note = format!("{:.0} ms, LitServe {:.0} ms, {OUTSTANDING} under way", p99[0], p99[1]);
        let target = Target::AtMost(1.0);
        figures.push(Figure { name: names[1], unit: "ratio", value: p99[0] / p99[1], target, note });
    }
    Ok(figures)
}

/// Both sides in turns, the peer with its best settings.
async fn compare(backbones: &Path, backbone: &str, model: &Path, jpegs: &[Bytes]) -> Result<(Side, Side, Settings)> {
    let bodies: Vec<Bytes> = jpegs.iter().map(body).collect::<Result<_>>()?;
    let images: Vec<Image> = jpegs.iter().map(|jpeg| encoded(jpeg.clone())).collect();
    let settings = best(model, &bodies[..TRIAL]).await?;
    let peer = LitServe::start(model, settings).await?;
    let extractor = Service::extractor(&["--backbones", &backbones.to_string_lossy()]).await?;
    let options = ExtractOptions { backbone: backbone.to_owned(), ..Default::default() };
    let mut stream = Stream::open(&extractor, options).await?;
    peer.run(&bodies[..2 * OUTSTANDING], OUTSTANDING).await?;
    stream.run(&images[..2 * OUTSTANDING], OUTSTANDING).await?;
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    for _ in 0..TURNS {
        peer.resume()?;
        let begun = Instant::now();
        theirs.add(begun, peer.run(&bodies, OUTSTANDING).await?);
        peer.pause()?;
        let begun = Instant::now();
        ours.add(begun, stream.run(&images, OUTSTANDING).await?);
    }
    Ok((ours, theirs, settings))
}

/// The peer's settings that give the most images/s.
async fn best(model: &Path, bodies: &[Bytes]) -> Result<Settings> {
    let mut found: Option<(f64, Settings)> = None;
    for settings in SETTINGS {
        let peer = LitServe::start(model, settings).await?;
        peer.run(&bodies[..OUTSTANDING], OUTSTANDING).await?;
        let begun = Instant::now();
        peer.run(bodies, OUTSTANDING).await?;
        let seconds = begun.elapsed().as_secs_f64();
        if found.is_none_or(|(least, _)| seconds < least) {
            found = Some((seconds, settings));
        }
    }
    found.map(|(_, settings)| settings).context("settings to try")
}

/// The model in int8.
fn quantised(model: &Path, folder: &Path, jpegs: &[Bytes]) -> Result<PathBuf> {
    let calibration = folder.join("calibration");
    fs::create_dir(&calibration)?;
    for (index, jpeg) in jpegs.iter().take(64).enumerate() {
        fs::write(calibration.join(format!("{index:03}.jpg")), jpeg)?;
    }
    let int8 = folder.join("int8.onnx");
    python("models.py", &["int8".as_ref(), model, &calibration, &int8])?;
    Ok(int8)
}

/// A folder of backbones with the int8 model, preprocessed as the default one.
fn backbones(folder: &Path, int8: &Path) -> Result<PathBuf> {
    let backbones = folder.join("backbones");
    fs::create_dir_all(backbones.join("int8"))?;
    let manifest = root().join("services/extractor/backbones/efficientnet-lite0/efficientnet-lite0.toml");
    let manifest = fs::read_to_string(manifest)?.replacen("\"efficientnet-lite0\"", "\"int8\"", 1);
    fs::write(backbones.join("int8/manifest.toml"), manifest)?;
    fs::copy(int8, backbones.join("int8/model.onnx"))?;
    Ok(backbones)
}
