//! `graft` on many files: where they come from, what is written, and what an interruption leaves behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use graft_tests::{
    calls::mentions,
    command::{ended, expect, graft_fed, graft_on},
    pictures::stripes,
    services::{Pair, Service, command},
};
use image::ImageFormat;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of two classes with `each` pictures each.
fn pictures(folder: &Path, each: u32) -> Result<()> {
    for (class, seed) in [("wide", 1), ("narrow", 8)] {
        fs::create_dir_all(folder.join(class))?;
        for index in 0..each {
            let picture = stripes(60 + index, 48, seed + 17 * index, ImageFormat::Png)?;
            fs::write(folder.join(class).join(format!("{index:04}.png")), picture)?;
        }
    }
    Ok(())
}

/// Services with a head `width` of two classes, and the folder that it was fitted on.
async fn fitted() -> Result<(Pair, TempDir)> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    pictures(folder.path(), 12)?;
    let path = folder.path().to_string_lossy().into_owned();
    expect(graft_on(&pair, &["import", "width", &path])?, 0, &["stored 24"])?;
    expect(graft_on(&pair, &["train", "width"])?, 0, &["width@1"])?;
    Ok((pair, folder))
}

/// The records of a CSV, with its headings first.
fn records(text: &str) -> Result<Vec<Vec<String>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_folders_patterns_lists_and_standard_input_are_classified() -> Result<()> {
    let (pair, folder) = fitted().await?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let run = |arguments: &[&str]| graft_on(&pair, &[&["classify", "width"], arguments].concat());

    // A folder, in the order of its names, however the answers come.
    let rows = records(&expect(run(&[&at(""), "--output", "csv"])?, 0, &[])?)?;
    ensure!(rows[0] == ["id", "head", "label", "probability", "unknown", "error"], "{:?}", rows[0]);
    let names: Vec<&String> = rows[1..].iter().map(|row| &row[0]).collect();
    ensure!(names.len() == 24 && names.is_sorted(), "{names:?}");
    for row in &rows[1..] {
        let right = if row[0].contains("wide") { "wide" } else { "narrow" };
        ensure!(row[1] == "width@1" && row[2] == right && row[4] == "false", "{row:?}");
        ensure!(row[3].parse::<f64>()? > 0.5, "{row:?}");
    }
    // A pattern, two labels each, a line for each.
    let lines = expect(run(&[&at("wide/000?.png"), "--top-k", "2", "--output", "jsonl"])?, 0, &[])?;
    ensure!(lines.lines().count() == 10, "{lines}");
    let first: Value = serde_json::from_str(lines.lines().next().context("a line")?)?;
    ensure!(first["predictions"].as_array().is_some_and(|all| all.len() == 2), "{first}");
    // Standard input as an image, and as a list.
    let picture = fs::read(at("narrow/0003.png"))?;
    expect(graft_fed(&pair, &["classify", "width", "-"], &picture)?, 0, &["narrow"])?;
    let list = format!("{}\r\n\n{}\n", at("narrow/0003.png"), at("wide/0003.png"));
    let listed = graft_fed(&pair, &["classify", "width", "--files-from", "-", "--output", "csv"], list.as_bytes())?;
    let labels: Vec<String> = records(&expect(listed, 0, &[])?)?.into_iter().map(|row| row[2].clone()).collect();
    ensure!(labels == ["label", "narrow", "wide"], "{labels:?}");
    // Several heads: a row a file and head.
    let both = ["classify", "--head", "width", "--head", "width@1", &at("wide/0001.png"), "--output", "csv"];
    ensure!(records(&expect(graft_on(&pair, &both)?, 0, &[])?)?.len() == 3);
    expect(run(&[])?, 2, &["PLACE"])?;
    expect(run(&[&at("wide"), "--files-from", "x"])?, 2, &["--files-from"])?;
    expect(graft_on(&pair, &["heads", "--output", "csv"])?, 2, &["classify", "jsonl"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_classified_is_named_and_the_rest_goes_on() -> Result<()> {
    let (pair, folder) = fitted().await?;
    let good = folder.path().join("wide/0001.png").to_string_lossy().into_owned();
    let words = folder.path().join("words.png").to_string_lossy().into_owned();
    fs::write(&words, "these are words")?;
    let uri = "https://images.example.com/1.png";
    let places = [&good[..], "/nowhere.png", &words, uri, "/nowhere/*.png", &good];

    let (code, out, err) = graft_on(&pair, &[&["classify", "width"], &places[..], &["--output", "csv"]].concat())?;
    ensure!(code == 4, "{code}: {out}{err}");
    let rows = records(&out)?;
    ensure!(rows.len() == 1 + places.len(), "a row for each: {out}");
    for (row, place) in rows[1..].iter().zip(places) {
        let fine = place == good;
        ensure!(row[0] == place && row[2].is_empty() != fine && row[5].is_empty() == fine, "{row:?}");
        ensure!(err.contains(&format!("{place}: ")) != fine, "what failed is told beside the rows: {err}");
    }
    mentions(&rows[4][5], &["--image-uri"])?;
    let table = graft_on(&pair, &[&["classify", "width"], &places[..]].concat())?;
    expect(table, 4, &["rejected: ", "/nowhere.png", "--image-uri"])?;
    let json =
        expect(graft_on(&pair, &[&["classify", "width"], &places[..], &["--output", "json"]].concat())?, 4, &[])?;
    let all: Value = serde_json::from_str(&json)?;
    ensure!(all.as_array().is_some_and(|all| all.len() == places.len() && all[1]["error"].is_string()), "{all}");
    expect(graft_on(&pair, &["classify", "nothing", &good])?, 1, &["head `nothing` does not exist"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uri_that_the_extractor_may_fetch_is_classified() -> Result<()> {
    let folder = TempDir::new()?;
    pictures(folder.path(), 12)?;
    let prefix = format!("file://{}", folder.path().canonicalize()?.display());
    let extractor = Service::extractor(&["--image-uri", &prefix]).await?;
    let data = TempDir::new()?;
    let trainer = Service::trainer(&extractor.url(), data.path(), &[]).await?;
    let pair = Pair { extractor, trainer, data };
    expect(graft_on(&pair, &["import", "width", &folder.path().to_string_lossy()])?, 0, &["stored 24"])?;
    expect(graft_on(&pair, &["train", "width"])?, 0, &["width@1"])?;
    expect(graft_on(&pair, &["classify", "width", &format!("{prefix}/narrow/0003.png")])?, 0, &["narrow"])?;
    Ok(())
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() -> Result<()> {
    let colours = |variables: &[(&str, &str)], arguments: &[&str]| {
        let output =
            command("graft").args(arguments).env_remove("NO_COLOR").envs(variables.iter().copied()).output()?;
        anyhow::Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains('\u{1b}'))
    };
    for arguments in [&["--help"][..], &["--trainer", "nonsense", "heads"]] {
        ensure!(!colours(&[], arguments)?, "not in a pipe: {arguments:?}");
        ensure!(colours(&[("CLICOLOR_FORCE", "1")], arguments)?, "{arguments:?}");
        ensure!(!colours(&[("NO_COLOR", "1")], arguments)?, "{arguments:?}");
    }
    let help = |flag: &str| ended(command("graft").args(["train", flag]).output()?);
    expect(help("--help")?, 0, &["Examples:", "graft train pets --kind auto"])?;
    let short = expect(help("-h")?, 0, &["--balance-classes"])?;
    ensure!(!short.contains("Examples:"), "{short}");
    expect(ended(command("graft").arg("--help").output()?)?, 0, &["Exit codes:", "130", "Examples:"])?;
    expect(ended(command("graft").arg("-h").output()?)?, 0, &["Exit codes:", "130"])?;
    Ok(())
}

/// `graft` in the background.
fn start(pair: &Pair, arguments: &[&str]) -> Result<Child> {
    let mut command = command("graft");
    command.args(arguments).env("GRAFT_TRAINER", pair.trainer.url()).env("GRAFT_EXTRACTOR", pair.extractor.url());
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn tell(process: u32, signal: Signal) -> Result<()> {
    Ok(kill_process(Pid::from_raw(process.cast_signed()).context("an id")?, signal)?)
}

/// Wait until the dataset has an example.
async fn wait_for_an_example(pair: &Pair, dataset: &str) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let (code, out, _) = graft_on(pair, &["dataset", "show", dataset, "--output", "json"])?;
        if code == 0 && serde_json::from_str::<Value>(&out)?["examples"].as_u64().is_some_and(|count| count > 0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("nothing was imported")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_goes_on_where_it_was() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    pictures(folder.path(), 400)?;
    let path = folder.path().to_string_lossy().into_owned();
    let import = start(&pair, &["import", "width", &path])?;
    wait_for_an_example(&pair, "width").await?;
    tell(import.id(), Signal::INT)?;
    let (code, out, err) = ended(import.wait_with_output()?)?;
    ensure!(code == 130 && out.is_empty(), "{code}: {out}{err}");
    mentions(&err, &["interrupted", "are stored for certain", "the same command again goes on"])?;
    let again = expect(graft_on(&pair, &["import", "width", &path, "--output", "json"])?, 0, &[])?;
    let again: Value = serde_json::from_str(&again)?;
    let (stored, known) =
        (again["stored"].as_u64().context("stored")?, again["already_known"].as_u64().context("known")?);
    ensure!(stored + known == 800 && known > 0 && stored > 0, "{again}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_interrupted_leaves_nothing() -> Result<()> {
    let (pair, _folder) = fitted().await?;
    let place = TempDir::new()?;
    let file: PathBuf = place.path().join("width.onnx");
    fs::write(&file, "what was there")?;
    // The extractor does not answer: the export waits for the backbone.
    tell(pair.extractor.process(), Signal::STOP)?;
    let export = start(&pair, &["export", "width", "--onnx", &file.to_string_lossy()])?;
    let begun = Instant::now();
    while fs::read_dir(place.path())?.count() < 2 {
        ensure!(begun.elapsed() < PATIENCE, "no file was begun");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    tell(export.id(), Signal::INT)?;
    let (code, out, err) = ended(export.wait_with_output()?)?;
    tell(pair.extractor.process(), Signal::CONT)?;
    ensure!(code == 130 && out.is_empty(), "{code}: {out}{err}");
    mentions(&err, &["interrupted; nothing was written"])?;
    ensure!(fs::read_to_string(&file)? == "what was there" && fs::read_dir(place.path())?.count() == 1);
    Ok(())
}
