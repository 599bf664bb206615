//! `graft doctor`: what is fine is told to be, and what is not has something to do about it.

use std::fs;

use anyhow::{Context, Result, ensure};
use graft_tests::{
    command::{expect, graft, graft_on},
    services::{Pair, Service, free_port},
};
use serde_json::Value;
use tempfile::TempDir;

fn check<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let all = report["checks"].as_array().context("checks")?;
    all.iter().find(|check| check["name"] == name).with_context(|| format!("{name} is not among {report}"))
}

fn is(report: &Value, name: &str, state: &str, words: &[&str]) -> Result<()> {
    let check = check(report, name)?;
    ensure!(check["state"] == state, "{state} is expected: {check}");
    for word in words {
        ensure!(check.to_string().contains(word), "`{word}` is missing in {check}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_until_the_extractor_is_gone() -> Result<()> {
    let mut pair = Pair::start().await?;
    let data = pair.data.path().to_string_lossy().into_owned();
    let arguments = ["doctor", "--data-dir", &data, "--output", "json"];
    let report: Value = serde_json::from_str(&expect(graft_on(&pair, &arguments)?, 0, &[])?)?;
    ensure!(report["well"] == true, "{report}");
    is(&report, "context", "fine", &["no token"])?;
    is(&report, "trainer", "fine", &[&pair.trainer.url()])?;
    is(&report, "extractor", "fine", &[&pair.extractor.url()])?;
    is(&report, "versions", "fine", &[env!("CARGO_PKG_VERSION")])?;
    is(&report, "clocks", "fine", &[])?;
    is(&report, "trainer to extractor", "fine", &[])?;
    is(&report, "backbones", "fine", &["efficientnet-lite0"])?;
    is(&report, "programs", "fine", &["graft-extractor", "graft-trainer"])?;
    is(&report, "ONNX Runtime", "fine", &["libonnxruntime", "cpu"])?;
    ensure!(check(&report, "disk")?["found"].as_str().is_some_and(|found| found.contains("GiB free")), "{report}");
    let text = expect(graft_on(&pair, &["doctor", "--data-dir", &data])?, 0, &["check", "state", "found", "fine"])?;
    ensure!(!text.contains("failed"), "{text}");

    pair.extractor.kill();
    let (code, out, err) = graft_on(&pair, &arguments)?;
    ensure!(code == 1 && err.is_empty(), "{code}: {err}");
    let report: Value = serde_json::from_str(&out)?;
    ensure!(report["well"] == false, "{report}");
    is(&report, "trainer", "fine", &[])?;
    is(&report, "extractor", "failed", &["cannot be reached", "graft up"])?;
    is(&report, "trainer to extractor", "failed", &["--extractor"])?;
    is(&report, "backbones", "skipped", &[])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_backbone_and_a_missing_library_are_named() -> Result<()> {
    let folder = TempDir::new()?;
    fs::create_dir(folder.path().join("mine"))?;
    fs::write(folder.path().join("mine/backbone.toml"), "this is no manifest")?;
    let extractor = Service::extractor(&["--backbones", &folder.path().to_string_lossy()]).await?;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (code, out, _) = graft(&nobody, &extractor.url(), &["doctor", "--output", "json"])?;
    ensure!(code == 1, "{code}");
    let report: Value = serde_json::from_str(&out)?;
    is(&report, "trainer", "failed", &[&nobody])?;
    is(&report, "backbones", "failed", &["mine", "graft backbone remove"])?;
    is(&report, "trainer to extractor", "skipped", &[])?;

    let mut without = graft_tests::services::command("graft");
    let output =
        without.args(["doctor", "--output", "json"]).env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so").output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    is(&report, "ONNX Runtime", "failed", &["/nowhere/libonnxruntime.so", "ORT_DYLIB_PATH"])?;

    let contexts = folder.path().join("config.toml");
    fs::write(&contexts, "[contexts.far]\ntrainer = 'http://127.0.0.1:1'\ntoken-file = '/nowhere/token'\n")?;
    let mut far = graft_tests::services::command("graft");
    let output =
        far.args(["doctor", "--context", "far", "--output", "json"]).env("GRAFT_CONFIG", &contexts).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.code() == Some(1), "{report}");
    is(&report, "context", "failed", &["far", "/nowhere/token"])?;
    Ok(())
}
