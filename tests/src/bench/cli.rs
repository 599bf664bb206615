//! `cli-overhead`: `graft classify` of 1,000 files over the same stream through the bare Rust client, whose images are in memory.
//! `cli-start`: how long `graft --help` takes.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::{TryStreamExt, stream};
use graft_client::{
    Graft, classify_many,
    proto::{ClassifyInput, ClassifyItem, ClassifyOptions, Image, classify_input},
};
use tempfile::TempDir;

use super::{Figure, Target, fitted, images::jpegs, stream::quantile};
use crate::{
    pictures::encoded,
    services::{Pair, command},
};

/// JPEGs, of 500 × 375.
const JPEGS: usize = 1000;
/// Classes of the head.
const CLASSES: usize = 10;
/// Measurements of each, by turns.
const ROUNDS: usize = 3;
/// Starts of the command.
const STARTS: usize = 20;

/// Measure what the command adds.
pub async fn overhead() -> Result<Vec<Figure>> {
    let pair = Pair::start().await?;
    fitted::register(&pair, &fitted::Space::of(&pair.extractor).await?, 1, CLASSES).await?;
    let (folder, jpegs) = (TempDir::new()?, jpegs(JPEGS)?);
    for (at, jpeg) in jpegs.iter().enumerate() {
        fs::write(folder.path().join(format!("{at:04}.jpg")), jpeg)?;
    }
    let images: Vec<Image> = jpegs.into_iter().map(encoded).collect();
    let graft = Graft::new(&pair.trainer.url(), &pair.extractor.url())?;
    // The first of all finds nothing warm, and is not counted.
    client(&graft, &images).await?;
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(client(&graft, &images).await?);
        whole.push(classify(&pair, folder.path())?);
    }
    let (bare, whole) = (quantile(&bare, 0.5), quantile(&whole, 0.5));
    let note = format!("median of {ROUNDS}: {whole:.0} ms for {JPEGS} files, {bare:.0} ms by the client");
    Ok(vec![Figure { name: "cli-overhead", unit: "ratio", value: whole / bare, target: Target::AtMost(1.1), note }])
}

/// The time of the stream alone.
async fn client(graft: &Graft, images: &[Image]) -> Result<Duration> {
    let items: Vec<ClassifyItem> = images
        .iter()
        .enumerate()
        .map(|(id, image)| {
            let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image.clone())) });
            ClassifyItem { id: id.to_string(), input, ..Default::default() }
        })
        .collect();
    let options = ClassifyOptions { head: fitted::name(0), top_k: 1, ..Default::default() };
    let begun = Instant::now();
    let answers: Vec<_> = classify_many(&graft.trainer, options, stream::iter(items)).await?.try_collect().await?;
    let took = begun.elapsed();
    ensure!(answers.len() == images.len() && answers.iter().all(|answer| answer.result.is_ok()), "all are classified");
    Ok(took)
}

/// The time of the command, from its start to its end.
fn classify(pair: &Pair, folder: &Path) -> Result<Duration> {
    let mut command = command("graft");
    command.env("GRAFT_TRAINER", pair.trainer.url()).env("GRAFT_EXTRACTOR", pair.extractor.url());
    command.args(["classify", &fitted::name(0)]).arg(folder).args(["--output", "csv"]);
    let begun = Instant::now();
    let output = command.output()?;
    let took = begun.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = String::from_utf8(output.stdout)?.lines().count();
    ensure!(rows == JPEGS + 1, "{rows} rows");
    Ok(took)
}

/// Measure how soon the command is there.
pub async fn start() -> Result<Vec<Figure>> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let mut command = command("graft");
        let begun = Instant::now();
        let status = command.arg("--help").stdout(Stdio::null()).status()?;
        took.push(begun.elapsed());
        ensure!(status.success(), "{status}");
    }
    let note = format!("median of {STARTS}; the slowest {:.1} ms", quantile(&took, 1.0));
    let value = quantile(&took, 0.5);
    Ok(vec![Figure { name: "cli-start", unit: "ms", value, target: Target::AtMost(30.0), note }])
}
