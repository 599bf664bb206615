//! Heads of other kinds than the default, fitted and asked through the command.

use std::fs;

use anyhow::{Context, Result, ensure};
use graft_tests::{
    command::{expect, graft_on},
    fashion,
    services::Pair,
};
use serde_json::Value;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_fitted_told_of_and_answers_as_it_was_measured() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(at("train.csv"), fashion::csv(&fashion::train()?[..400]))?;
    fs::write(at("test.csv"), fashion::csv(&fashion::test()?[..100]))?;
    expect(graft_on(&pair, &["import", "clothes", &at("train.csv"), "--split", "train"])?, 0, &["stored 400"])?;
    expect(graft_on(&pair, &["import", "clothes", &at("test.csv"), "--split", "test"])?, 0, &["stored 100"])?;
    for (kind, least) in [("lda", 0.75), ("knn", 0.65), ("ridge", 0.7), ("prototype", 0.6), ("sigmoid", 0.7)] {
        let arguments = ["train", "clothes", "--head", kind, "--kind", kind, "--output", "json"];
        let trained: Value = serde_json::from_str(&expect(graft_on(&pair, &arguments)?, 0, &[])?)?;
        ensure!(trained["head_kind"] == kind && trained["head_kind_reason"] == "", "{trained}");
        let accuracy = trained["report"]["accuracy"].as_f64().context("accuracy")?;
        ensure!(accuracy >= least && trained["report"]["test_count"] == 100, "{kind}: {accuracy}");

        let asked = ["classify", kind, "--rows", &at("test.csv"), "--top-k", "1", "--output", "json"];
        let found: Value = serde_json::from_str(&expect(graft_on(&pair, &asked)?, 0, &[])?)?;
        let found = found.as_array().context("a line a row")?;
        let right = found.iter().filter(|line| line["label"] == line["is"]).count();
        ensure!((right as f64 / 100.0 - accuracy).abs() < 1e-9, "{kind}: {right} of 100 served, {accuracy} measured");
    }
    let auto = ["train", "clothes", "--head", "auto", "--kind", "auto", "--output", "json"];
    let (code, out, compared) = graft_on(&pair, &auto)?;
    let trained: Value = serde_json::from_str(&out)?;
    let kind = trained["head_kind"].as_str().context("a kind")?;
    ensure!(code == 0 && compared.contains(&format!("compared: {kind}:")), "{compared}");
    let reason = trained["head_kind_reason"].as_str().context("a reason")?;
    ensure!(reason.contains("log loss in cross-validation") && reason.contains("the next was"), "{reason}");
    Ok(())
}
