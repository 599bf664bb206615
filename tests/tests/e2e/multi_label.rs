//! Pictures of several garments in, a classifier out that finds them all, with its evidence.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    browser::{open_page, shows},
    command::{expect, graft_on},
    fashion::{self, Row},
    services::Pair,
};
use image::GrayImage;
use serde_json::Value;
use tempfile::TempDir;

/// Classes of Fashion-MNIST and what they are called here; one as no plot expects it.
const GARMENTS: [(&str, &str); 3] = [
    ("1", "trousers"),
    ("8", "bag & <b>strap</b>"),
    ("9", "ankle boot 踝靴 with a name that is far longer than anyone would usually give to a label"),
];
/// Pictures to fit on, to choose with and to measure on.
const PICTURES: [(&str, usize); 3] = [("train", 240), ("val", 60), ("test", 60)];
/// Of every so many pictures to fit on, one lacks a label that it should have.
const FORGETS: usize = 40;

/// Rows of each garment, one after the other and then from the beginning.
struct Wardrobe {
    rows: Vec<Vec<Row>>,
    taken: [usize; 3],
}

impl Wardrobe {
    fn new(rows: &[Row]) -> Wardrobe {
        let of = |class: &str| rows.iter().filter(|row| row.label == class).cloned().collect();
        Wardrobe { rows: GARMENTS.iter().map(|(class, _)| of(class)).collect(), taken: [0; 3] }
    }

    fn take(&mut self, garment: usize) -> Row {
        self.taken[garment] += 1;
        self.rows[garment][(self.taken[garment] - 1) % self.rows[garment].len()].clone()
    }
}

/// The garments of the picture of this number: one, two, or in one of eight none.
fn garments(number: usize) -> Vec<usize> {
    match number % 8 {
        0 => vec![],
        1..=3 => vec![number % 3],
        _ => vec![number % 3, (number + 1) % 3],
    }
}

/// 56 × 56 pixels, a garment in each of some quarters.
fn picture(rows: &[Row], number: usize) -> Result<GrayImage> {
    let mut canvas = GrayImage::new(56, 56);
    for (place, row) in rows.iter().enumerate() {
        let quarter = (number / 8 + 3 * place) % 4;
        let garment = GrayImage::from_raw(28, 28, row.pixels.to_vec()).context("28 * 28 pixels")?;
        let (left, top) = (28 * (quarter % 2), 28 * (quarter / 2));
        image::imageops::replace(&mut canvas, &garment, left as i64, top as i64);
    }
    // No two pictures without a garment are the same file.
    canvas.put_pixel(0, 0, image::Luma([(number % 251) as u8]));
    canvas.put_pixel(55, 0, image::Luma([(number / 251) as u8]));
    Ok(canvas)
}

/// A picture of the test split, and what is on it.
type Test = (String, BTreeSet<&'static str>);

/// The pictures and a table of their labels; gives those of the test split.
fn write_pictures(folder: &Path) -> Result<Vec<Test>> {
    let mut table = String::from("path\tlabels\tsplit\n");
    let mut tests = Vec::new();
    let mut wardrobes = [Wardrobe::new(&fashion::train()?), Wardrobe::new(&fashion::test()?)];
    let mut number = 0;
    for (split, count) in PICTURES {
        let wardrobe = &mut wardrobes[usize::from(split == "test")];
        for index in 0..count {
            number += 1;
            let on_it = garments(number);
            let rows: Vec<Row> = on_it.iter().map(|garment| wardrobe.take(*garment)).collect();
            let file = folder.join(format!("{number}.png"));
            picture(&rows, number)?.save(&file)?;
            let mut labels: Vec<&'static str> = on_it.iter().map(|garment| GARMENTS[*garment].1).collect();
            if split == "test" {
                tests.push((file.to_string_lossy().into_owned(), labels.iter().copied().collect()));
            }
            if split == "train" && index % FORGETS == 4 {
                labels.pop();
            }
            table += &format!("{number}.png\t{}\t{split}\n", labels.join("; "));
        }
    }
    fs::write(folder.join("garments.tsv"), table)?;
    Ok(tests)
}

/// The labels that apply to each picture, and how many labels were named.
fn answers(pair: &Pair, files: &[&str]) -> Result<Vec<BTreeSet<String>>> {
    let arguments = [&["classify", "garments"][..], files, &["--top-k", "1", "--output", "json"]].concat();
    let found: Value = serde_json::from_str(&expect(graft_on(pair, &arguments)?, 0, &[])?)?;
    let applies = |line: &Value| {
        let named = line["predictions"].as_array().context("predictions")?;
        let applies = named.iter().filter(|p| p["applies"] == true).filter_map(|p| p["label"].as_str());
        Ok(applies.map(str::to_owned).collect())
    };
    found.as_array().context("a line a picture")?.iter().map(applies).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_garment_of_a_picture_is_found() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let tests = write_pictures(folder.path())?;
    let table = folder.path().join("garments.tsv").to_string_lossy().into_owned();
    expect(graft_on(&pair, &["import", "garments", &table, "--multi-label"])?, 0, &["stored 360"])?;

    let refused = ["options.head_kind", "HEAD_KIND_LDA", "`garments` is multi-label", "HEAD_KIND_SIGMOID"];
    expect(graft_on(&pair, &["train", "garments", "--kind", "lda"])?, 1, &refused)?;
    expect(
        graft_on(&pair, &["train", "garments", "--balance-classes"])?,
        1,
        &["options.balance_classes", "its own F1"],
    )?;
    let weighted = ["train", "garments", "--class-weight", "trousers=2"];
    expect(graft_on(&pair, &weighted)?, 1, &["options.class_weights"])?;
    let words = ["a sigmoid head: `garments` is multi-label", "several labels", "exactly right", "micro F1", "missed"];
    expect(graft_on(&pair, &["train", "garments"])?, 0, &words)?;

    let document = expect(graft_on(&pair, &["report", "garments", "--json"])?, 0, &[])?;
    let document: Value = serde_json::from_str(&document)?;
    let report = &document["report"];
    check_evidence(report)?;
    let words = ["garments@1", "exactly their labels", "Hamming loss", "mean average precision", "rightly not"];
    expect(graft_on(&pair, &["report", "garments"])?, 0, &words)?;
    check_page(&pair, folder.path())?;

    let files: Vec<&str> = tests.iter().map(|(file, _)| file.as_str()).collect();
    let found = answers(&pair, &files)?;
    let exact =
        |(found, test): &(&BTreeSet<String>, &Test)| found.iter().map(String::as_str).eq(test.1.iter().copied());
    let right: Vec<_> = found.iter().zip(&tests).filter(exact).collect();
    let accuracy = report["accuracy"].as_f64().context("accuracy")?;
    ensure!((right.len() as f64 / tests.len() as f64 - accuracy).abs() < 1e-9, "served as measured: {}", right.len());
    let both = right.iter().filter(|(found, _)| found.len() == 2).count();
    ensure!(both >= 20, "both garments of {both} pictures were found, though one label was asked for");
    ensure!(right.iter().any(|(found, _)| found.is_empty()), "a picture without a garment has no label");
    let text = expect(graft_on(&pair, &["classify", "garments", files[0], "--top-k", "3"])?, 0, &["trousers"])?;
    ensure!(text.contains("(not ") || text.matches("0.").count() == 3, "what does not apply is told apart: {text}");
    let unknown = ["classify", "garments", files[0], "--unknown"];
    expect(graft_on(&pair, &unknown)?, 1, &["detect_unknown", "on its own"])?;
    Ok(())
}

fn check_evidence(report: &Value) -> Result<()> {
    let number = |value: &Value| value.as_f64().with_context(|| format!("a number: {value}"));
    let (accuracy, sets) = (number(&report["accuracy"])?, &report["multi_label"]);
    ensure!(accuracy > number(&report["majority_accuracy"])? + 0.3, "{accuracy}: {report:#}");
    ensure!(number(&sets["micro_f1"])? > 0.85 && number(&sets["hamming_loss"])? < 0.15, "{sets}");
    ensure!(number(&report["average_precision"])? > 0.85 && number(&report["roc_auc"])? > 0.85, "{report:#}");
    let bounds = &sets["micro_f1_interval"];
    ensure!(number(&bounds[0])? < number(&sets["micro_f1"])?, "{bounds}");
    ensure!(report["balanced_accuracy"].is_null() && report["unknown"].is_null(), "sets have none: {report:#}");
    ensure!(report["confusion"].as_array().is_some_and(Vec::is_empty), "each label has its own: {report:#}");
    for class in report["classes"].as_array().context("classes")? {
        let counts = class["counts"].as_object().context("counts")?;
        let all: f64 = counts.values().filter_map(Value::as_f64).sum();
        ensure!(all == 60.0 && class["threshold"].is_number() && class["average_precision"].is_number(), "{class}");
    }
    let errors = report["label_errors"]["errors"].as_array().context("label errors")?;
    ensure!(errors.iter().any(|error| error["label"] == ""), "a label that was left out is missed: {errors:#?}");
    ensure!(report["learning_curve"]["points"].as_array().is_some_and(|points| points.len() == 4), "{report:#}");
    Ok(())
}

fn check_page(pair: &Pair, folder: &Path) -> Result<()> {
    let page = folder.join("sets.html").to_string_lossy().into_owned();
    let images = folder.to_string_lossy().into_owned();
    expect(graft_on(pair, &["report", "garments", "--html", &page, "--images", &images])?, 0, &["wrote"])?;
    let seen = open_page(Path::new(&page))?;
    let plots = ["F1 of each class", "Answers about each label", "Reliability as served", "Learning curve"];
    shows(&seen, &plots, &["warnings", "figures", "answers", "calibration", "mistakes", "label-errors"])?;
    let plots = seen["plots"].as_array().context("plots")?;
    ensure!(!plots.contains(&"Confusion matrix".into()), "there is none of sets: {plots:?}");
    ensure!(seen["pictures"].as_u64() > Some(0), "mistakes have pictures: {}", seen["pictures"]);
    Ok(())
}
