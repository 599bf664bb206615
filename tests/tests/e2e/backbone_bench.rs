//! `graft backbone bench`, and what an extractor that is running makes of the `[run]` table that it writes.

use std::{
    fs,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{Backbone, ExtractOptions, GetBackboneRequest};
use graft_tests::{
    calls::{extract, mentions},
    fashion,
    services::{Service, command, root},
};
use tempfile::TempDir;

/// What a person wrote, with a layout that is none of those that are measured.
const RUN: &str = "\n# Laid out by hand.\n[run]\nlanes = 1\nthreads = 1\nbatch = 3 # odd\n";
/// A change must show by then; the extractor looks every second.
const WITHIN: Duration = Duration::from_secs(30);

/// A directory with a backbone `mine`.
fn repository() -> Result<TempDir> {
    let built_in = root().join("services/extractor/backbones/efficientnet-lite0");
    let directory = TempDir::new()?;
    let folder = directory.path().join("mine");
    fs::create_dir(&folder)?;
    fs::copy(built_in.join("model.onnx"), folder.join("model.onnx"))?;
    let manifest = fs::read_to_string(built_in.join("efficientnet-lite0.toml"))?;
    fs::write(folder.join("backbone.toml"), manifest.replacen("efficientnet-lite0", "mine", 1) + RUN)?;
    Ok(directory)
}

fn bench(backbones: &str, arguments: &[&str], code: i32, words: &[&str]) -> Result<String> {
    let mut command = command("graft");
    command.args(["backbone", "bench", "--seconds", "2"]).args(arguments).env("GRAFT_BACKBONES", backbones);
    let Output { status, stdout, stderr } = command.output()?;
    let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    ensure!(status.code() == Some(code), "{arguments:?}: {status}, {code} was expected: {out}{err}");
    mentions(&format!("{out}{err}"), words)?;
    Ok(out)
}

async fn describe(service: &Service, name: &str) -> Result<Backbone> {
    let request = GetBackboneRequest { name: name.to_owned() };
    let answer = service.extractor_client().await?.get_backbone(request).await?;
    answer.into_inner().backbone.context("a backbone")
}

async fn embed(service: &Service) -> Result<Vec<f32>> {
    let options = ExtractOptions { backbone: "mine".into(), ..Default::default() };
    let mut embedded = extract(service, options, vec![("0".into(), fashion::reference()?[0].image())]).await?;
    embedded.remove("0").context("an answer")?.map_err(|error| anyhow::anyhow!("{error:?}"))
}

#[tokio::test]
async fn the_best_layout_is_written_and_taken_up() -> Result<()> {
    let directory = repository()?;
    let path = directory.path().to_string_lossy().into_owned();
    let manifest = directory.path().join("mine/backbone.toml");
    let before = fs::read_to_string(&manifest)?;
    let service = Service::extractor(&["--backbones", &path, "--backbone-poll-seconds", "1"]).await?;
    let (space, embedding) = (describe(&service, "mine").await?.space, embed(&service).await?);
    mentions(&service.log(), &["lanes=1 threads=1 batch=3"])?;

    bench(&path, &["mine", "--dry-run"], 0, &["lanes", "images/s", &space, "on cpu", "nothing was written"])?;
    ensure!(fs::read_to_string(&manifest)? == before);
    let said: serde_json::Value = serde_json::from_str(&bench(&path, &["mine", "--output", "json"], 0, &[])?)?;
    let chosen = said["chosen"].as_object().context("a choice")?;
    ensure!(["lanes", "threads", "batch"].iter().all(|key| chosen[*key].is_u64()), "{said}");
    let measured = said["measured"].as_array().context("measurements")?;
    ensure!(measured.iter().all(|one| one["images_per_second"].as_f64().is_some_and(|rate| rate > 0.0)), "{said}");
    ensure!(measured.iter().any(|one| chosen.iter().all(|(key, value)| one[key] == *value)), "{said}");

    // The rest of the manifest is as it was, and the space is the same.
    let after = fs::read_to_string(&manifest)?;
    let mut expected = before.replacen("batch = 3 ", &format!("batch = {} ", chosen["batch"]), 1);
    for key in ["lanes", "threads"] {
        expected = expected.replacen(&format!("{key} = 1\n"), &format!("{key} = {}\n", chosen[key]), 1);
    }
    ensure!(after == expected, "{after}");
    let begun = Instant::now();
    while service.metric("graft_extractor_backbone_unloads_total", "replaced").await? < 1.0 {
        ensure!(begun.elapsed() < WITHIN, "the extractor has not noticed: {}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let again = embed(&service).await?;
    let taken = format!("lanes={} threads={} batch={}", chosen["lanes"], chosen["threads"], chosen["batch"]);
    mentions(&service.log(), &[&taken])?;
    let now = describe(&service, "mine").await?;
    ensure!(now.space == space && now.error.is_empty(), "{now:?}");
    let apart = again.iter().zip(&embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    ensure!(again.len() == embedding.len() && apart < 1e-3, "another layout, the same embedding: {apart}");
    Ok(())
}

#[test]
fn what_cannot_be_written_says_so() -> Result<()> {
    let directory = repository()?;
    let path = directory.path().to_string_lossy().into_owned();
    bench(&path, &["efficientnet-lite0"], 0, &["images/s", "built in", "--max-batch"])?;
    bench("/nowhere", &["efficientnet-lite0", "--dry-run"], 0, &["images/s", "nothing was written"])?;
    bench(&path, &["absent"], 1, &["there is no backbone `absent`", "mine"])?;
    bench("s3://bucket/backbones", &["mine"], 1, &["s3://bucket/backbones", "directory of this machine", "--dry-run"])?;
    bench(&path, &["../mine"], 2, &["a-z"])?;
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_missing_breaks_its_backbone_alone() -> Result<()> {
    let directory = repository()?;
    let manifest = directory.path().join("mine/backbone.toml");
    let text = fs::read_to_string(&manifest)?.replacen("[run]\n", "[run]\nprovider = \"cuda\"\n", 1);
    fs::write(&manifest, text)?;
    let path = directory.path().to_string_lossy().into_owned();
    let service = Service::extractor(&["--backbones", &path]).await?;
    let refused = embed(&service).await.map(|_| ()).unwrap_err().to_string();
    mentions(&refused, &["run.provider", "`cuda`", "has: cpu"])?;
    let items = vec![("0".into(), fashion::reference()?[0].image())];
    ensure!(extract(&service, ExtractOptions::default(), items).await?["0"].is_ok(), "the default one serves");

    let mut alone = command("graft-extractor");
    alone.args(["--backbones", &path, "--default-backbone", "mine", "--listen", "127.0.0.1:0"]);
    let Output { status, stderr, .. } = alone.output()?;
    ensure!(status.code() == Some(64), "{status}");
    mentions(&String::from_utf8_lossy(&stderr), &["default-backbone", "run.provider", "`cuda`"])
}
