//! The whole line by the commands that are made out of the contract, on real services.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use graft_tests::{
    command::{expect, graft_on},
    pictures::stripes,
    services::{Pair, command},
};
use image::ImageFormat;
use tempfile::TempDir;

/// Pictures of two classes, a folder each, and a file that is none.
fn photos(folder: &Path) -> Result<()> {
    for (class, width) in [("broad", 32), ("narrow", 90)] {
        fs::create_dir_all(folder.join(class))?;
        for seed in 0..12 {
            fs::write(folder.join(class).join(format!("{seed:02}.png")), stripes(width, 40, seed, ImageFormat::Png)?)?;
        }
    }
    fs::write(folder.join("narrow/broken.png"), "no picture")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_folder_to_a_head_by_generated_commands() -> Result<()> {
    let pair = Pair::start().await?;
    let folder = TempDir::new()?;
    let place = folder.path().join("photos");
    photos(&place)?;
    let place = place.to_string_lossy();
    let run = |arguments: &[&str]| graft_on(&pair, arguments);

    expect(run(&["extractor", "list-backbones"])?, 0, &["name", "efficientnet-lite0", "dimension", "1280"])?;
    let embed = ["extractor", "extract", "--each", &format!("encoded={place}"), "--id", "{parent}/{name}"];
    let rows = expect(
        run(&[&embed[..], &["--priority", "interactive", "--query", ".embeddings.ids // [] | .[]"]].concat())?,
        0,
        &[],
    )?;
    ensure!(rows.lines().count() == 24 && rows.contains("\"broad/00.png\""), "{rows}");
    let failures = expect(run(&[&embed[..], &["--query", ".failure // empty | .id"]].concat())?, 0, &[])?;
    ensure!(failures == "\"narrow/broken.png\"\n", "{failures}");

    expect(run(&["dataset", "create-dataset", "--name", "photos"])?, 0, &["photos", "efficientnet-lite0@"])?;
    let import = ["dataset", "import-examples", "--dataset", "photos", "--each", &format!("encoded={place}")];
    let outcomes = [&import[..], &["--label", "{parent}", "--query", ".outcomes[].outcome"]].concat();
    let outcomes = expect(run(&outcomes)?, 0, &[])?;
    let count = |outcome: &str| outcomes.lines().filter(|line| line.contains(outcome)).count();
    ensure!((count("STORED"), count("REJECTED")) == (24, 1), "{outcomes}");

    let create =
        ["training", "create-training-run", "--dataset", "photos", "--head", "photos", "--head-kind", "softmax"];
    let create = [&create[..], &["--l2", "0.01,0.1", "--query", ".training_run.id"]].concat();
    let id = expect(run(&create)?, 0, &[])?;
    let watched =
        expect(run(&["training", "watch-training-run", "--id", id.trim()])?, 0, &["TRAINING_STATE_SUCCEEDED"])?;
    ensure!(watched.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{watched}");
    expect(run(&["head", "get-head", "--name", "photos", "--output", "yaml"])?, 0, &["name: photos", "- broad"])?;
    let picture = format!("@{place}/broad/00.png");
    let classify = ["classifier", "classify", "--head", "photos", "--encoded", &picture];
    expect(run(&classify)?, 0, &["photos@1", "broad", "narrow"])?;

    let file = folder.path().join("photos.safetensors");
    let file = file.to_string_lossy();
    expect(
        run(&["head", "export-head", "--name", "photos", "--output-file", &format!("data={file}")])?,
        0,
        &["photos"],
    )?;
    expect(run(&["head", "import-head", "--each", &file, "--options.name", "theirs"])?, 0, &["theirs"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_and_calls_by_name() -> Result<()> {
    let pair = Pair::start().await?;
    let run = |arguments: &[&str]| graft_on(&pair, arguments);
    expect(run(&["head", "get-head", "--name", "nowhere"])?, 1, &["head `nowhere` does not exist", "NOT_FOUND"])?;
    expect(run(&["training", "create-training-run", "--head-kind", "softmx"])?, 2, &["softmax"])?;
    expect(run(&["head", "get-haed"])?, 2, &["get-head"])?;
    // Those that were written by hand stay, beside those that were not.
    expect(run(&["dataset", "list"])?, 0, &[])?;
    expect(run(&["dataset", "--help"])?, 0, &["list-datasets", "Give examples other labels", "import-examples"])?;
    expect(
        run(&["--reflect", "call", "--list"])?,
        0,
        &["graft.v1.HeadService/GetHead", "grpc.health.v1.Health/Check"],
    )?;
    let health = ["--reflect", "call", "grpc.health.v1.Health/Check", "--endpoint", &pair.extractor.url()];
    expect(run(&health)?, 0, &["serving"])?;
    expect(run(&["--reflect", "call", "head/list-heads", "--output", "json"])?, 0, &["heads"])?;
    expect(run(&["--reflect", "heads"])?, 2, &["call"])?;
    let nowhere = ["head", "list-heads", "--endpoint", "http://127.0.0.1:9"];
    expect(run(&nowhere)?, 3, &["http://127.0.0.1:9 cannot be reached"])?;
    Ok(())
}

#[test]
fn help_comes_at_once() -> Result<()> {
    let quickest = |arguments: &[&str]| -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            ensure!(command("graft").args(arguments).output()?.status.success(), "{arguments:?}");
            times.push(begun.elapsed());
        }
        Ok(times.into_iter().min().unwrap_or_default())
    };
    // The quickest of many: others use the machine too.
    let (whole, one) = (quickest(&["--help"])?, quickest(&["head", "get-head", "--help"])?);
    ensure!(whole < Duration::from_millis(30), "graft --help takes {whole:?}; less than 30 ms is promised");
    ensure!(one < Duration::from_millis(60), "the help of a command takes {one:?}; less than 60 ms is promised");
    Ok(())
}
