//! The `graft` command as a person uses it: results on standard output, messages on standard error, exit codes.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    calls::mentions,
    command::{expect, graft},
    fashion,
    pictures::stripes,
    services::{Pair, command, free_port},
};
use image::ImageFormat;
use tempfile::TempDir;

fn csv(folder: &Path, rows: usize, more: &[String]) -> Result<String> {
    let mut lines = Vec::new();
    for row in &fashion::train()?[..rows] {
        let pixels: Vec<String> = row.pixels.iter().map(u8::to_string).collect();
        lines.push(format!("{},{}", row.label, pixels.join(",")));
    }
    lines.extend_from_slice(more);
    let path = folder.join("rows.csv");
    fs::write(&path, lines.join("\n"))?;
    Ok(path.to_string_lossy().into_owned())
}

#[tokio::test]
async fn from_rows_to_answers_with_what_was_wrong_on_the_way() -> Result<()> {
    let pair = Pair::start().await?;
    let folder = TempDir::new()?;
    let row = |count: usize, first: &str| format!("3,{first},{}", vec!["7"; count - 1].join(","));
    let path = csv(folder.path(), 60, &[row(783, "0"), row(784, "256"), row(784, "abc")])?;
    let run = |arguments: &[&str]| graft(&pair.trainer.url(), &pair.extractor.url(), arguments);

    let words = [
        "stored 60",
        "rejected 3",
        "rows.csv:61",
        "783 pixels; 784",
        "rows.csv:62",
        "`256`",
        "0 to 255",
        "rows.csv:63",
        "`abc`",
    ];
    expect(run(&["import", "clothes", &path])?, 4, &words)?;
    let again: serde_json::Value =
        serde_json::from_str(&expect(run(&["import", "clothes", &path, "--output", "json"])?, 4, &[])?)?;
    ensure!(again["already_known"] == 60 && again["stored"] == 0, "{again}");
    expect(run(&["train", "clothes"])?, 0, &["accuracy", "macro F1", "is \\ predicted"])?;
    let found = expect(run(&["classify", "clothes", "--rows", &path, "--limit", "2", "--output", "json"])?, 0, &[])?;
    let found: serde_json::Value = serde_json::from_str(&found)?;
    ensure!(found.as_array().is_some_and(|lines| lines.len() == 2), "{found}");
    let sum: f64 = found[0]["predictions"]
        .as_array()
        .context("predictions")?
        .iter()
        .filter_map(|p| p["probability"].as_f64())
        .sum();
    ensure!(sum > 0.3 && sum <= 1.0001, "the three most probable of ten: {found}");
    expect(run(&["heads"])?, 0, &["clothes@1"])?;
    expect(run(&["datasets", "show", "clothes"])?, 0, &["60 examples"])?;

    expect(run(&["train", "nowhere"])?, 1, &["dataset `nowhere` does not exist"])?;
    expect(run(&["heads", "show", "nowhere"])?, 1, &["head `nowhere` does not exist"])?;
    expect(run(&["import", "a/b", &path])?, 1, &["a/b", "a-z"])?;
    expect(run(&["import", "x", &path, "--backbone", "resnet-9000"])?, 1, &["resnet-9000", "efficientnet-lite0"])?;
    expect(run(&["import", "x", "/nowhere"])?, 1, &["/nowhere"])?;
    let other = ["import", "clothes", &path, "--backbone", "efficientnet-lite0-imagenet"];
    expect(run(&other)?, 1, &["--backbone", "`clothes`", "`efficientnet-lite0`", "another dataset"])?;
    let empty = folder.path().join("empty.csv");
    fs::write(&empty, "")?;
    expect(run(&["import", "y", &empty.to_string_lossy()])?, 1, &["empty.csv", "no examples"])?;
    fs::write(&empty, "label,pixel1,pixel2,pixel3,pixel4\n")?;
    expect(run(&["import", "y", &empty.to_string_lossy()])?, 1, &["empty.csv", "no examples"])?;
    expect(run(&["datasets", "show", "y"])?, 1, &["dataset `y` does not exist"])?;
    expect(run(&["classify", "clothes", "/nowhere.jpg"])?, 4, &["/nowhere.jpg"])?;
    expect(run(&["classify"])?, 2, &["Usage"])?;
    expect(run(&["heads", "delete", "clothes"])?, 0, &["deleted clothes"])?;
    Ok(())
}

#[tokio::test]
async fn a_folder_of_photos_with_some_that_are_none() -> Result<()> {
    let pair = Pair::start().await?;
    let folder = TempDir::new()?;
    for (class, seed) in [("wide", 1), ("narrow", 8)] {
        fs::create_dir(folder.path().join(class))?;
        for index in 0..12 {
            let picture = stripes(60 + index, 48, seed + 17 * index, ImageFormat::Png)?;
            fs::write(folder.path().join(class).join(format!("{index}.png")), picture)?;
        }
    }
    fs::write(folder.path().join("wide/words.png"), "these are words")?;
    fs::write(folder.path().join("wide/empty.jpg"), "")?;
    let whole = stripes(64, 64, 5, ImageFormat::Jpeg)?;
    fs::write(folder.path().join("wide/half.jpg"), &whole[..whole.len() / 2])?;
    let run = |arguments: &[&str]| graft(&pair.trainer.url(), &pair.extractor.url(), arguments);
    let path = folder.path().to_string_lossy().into_owned();
    let words =
        ["stored 24", "rejected 3", "wide/words.png", "text", "wide/empty.jpg", "empty", "wide/half.jpg", "JPEG"];
    expect(run(&["import", "stripes", &path])?, 4, &words)?;
    expect(run(&["train", "stripes", "--head", "width"])?, 0, &["width@1"])?;
    let photo = folder.path().join("narrow/3.png");
    expect(run(&["classify", "width", &photo.to_string_lossy()])?, 0, &["narrow"])?;
    Ok(())
}

#[test]
fn a_service_that_is_not_there_is_named() -> Result<()> {
    let url = format!("http://127.0.0.1:{}", free_port());
    expect(graft(&url, &url, &["heads"])?, 3, &[&url, "graft up"])?;
    expect(graft("nonsense", &url, &["heads"])?, 1, &["nonsense", "http://"])?;
    Ok(())
}

#[test]
fn up_says_which_service_did_not_start_and_stops_the_other() -> Result<()> {
    let folder = TempDir::new()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    let free: Vec<String> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
    let mut up: Command = command("graft");
    up.args(["up", "--data-dir"]).arg(folder.path()).args(["--trainer-listen", &taken, "--extractor-listen", &free[0]]);
    up.args(["--trainer-metrics-listen", &free[1], "--extractor-metrics-listen", &free[2]]);
    let Output { status, stderr, .. } = up.stdout(Stdio::null()).output()?;
    ensure!(status.code() == Some(1), "{status}");
    mentions(&String::from_utf8_lossy(&stderr), &[&taken, "another port", "graft-trainer ended"])?;
    std::net::TcpListener::bind(&free[0]).context("the extractor was stopped and its port is free")?;
    Ok(())
}

#[tokio::test]
async fn an_extractor_that_is_down_is_named_by_exit_code_3() -> Result<()> {
    let mut pair = Pair::start().await?;
    pair.extractor.kill();
    let folder = TempDir::new()?;
    let path = csv(folder.path(), 3, &[])?;
    let (trainer, extractor) = (pair.trainer.url(), pair.extractor.url());
    expect(graft(&trainer, &extractor, &["import", "x", &path])?, 3, &[&extractor, "graft up"])?;
    Ok(())
}
