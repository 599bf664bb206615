//! The evidence of a head, from images with known faults to the page that a person decides from, in a real browser.

use std::{fs, path::Path, process::Output};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    browser::{open_page, shows},
    fashion,
    services::{Pair, command},
};
use image::{DynamicImage, GrayImage};
use serde_json::Value;
use tempfile::TempDir;

/// What the classes are called; one as no plot expects it.
const LABELS: [&str; 10] = [
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt & <b>tie</b>",
    "Sneaker",
    "Bag",
    "Ankle boot 踝靴 with a name that is far longer than anyone would usually give to a class of shoes",
];
const ROWS: usize = 500;
/// Pictures that are in the folder twice, in two formats: some will be in two splits.
const TWICE: usize = 60;
/// Bags among the trousers.
const SWAPPED: usize = 8;

fn graft(pair: &Pair, arguments: &[&str]) -> Result<String> {
    let mut command = command("graft");
    command.args(arguments).env("GRAFT_TRAINER", pair.trainer.url()).env("GRAFT_EXTRACTOR", pair.extractor.url());
    let Output { status, stdout, stderr } = command.output()?;
    ensure!(status.success(), "{arguments:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?)
}

/// Fashion-MNIST as a folder of PNG files, with the faults that a report should find.
fn write_images(folder: &Path) -> Result<()> {
    let mut bags = 0;
    for (index, row) in fashion::train()?[..ROWS].iter().enumerate() {
        let class: usize = row.label.parse()?;
        let swapped = class == 8 && bags < SWAPPED;
        bags += usize::from(class == 8);
        let label = if swapped { LABELS[1] } else { LABELS[class] };
        // A label with a slash cannot be a folder; the others can.
        let class_folder = folder.join(label.replace('/', "∕"));
        fs::create_dir_all(&class_folder)?;
        let pixels = GrayImage::from_raw(28, 28, row.pixels.to_vec()).context("28 * 28 pixels")?;
        let picture = DynamicImage::ImageLuma8(pixels);
        picture.save(class_folder.join(format!("{index}.png")))?;
        if index < TWICE && !swapped {
            picture.save(class_folder.join(format!("{index}-again.bmp")))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_wrong_and_a_browser_shows_the_page() -> Result<()> {
    let pair = Pair::start().await?;
    let folder = TempDir::new()?;
    let images = folder.path().join("clothes");
    write_images(&images)?;
    let images = images.to_string_lossy().into_owned();
    graft(&pair, &["import", "clothes", &images])?;
    graft(&pair, &["train", "clothes"])?;

    let document: Value = serde_json::from_str(&graft(&pair, &["report", "clothes", "--json"])?)?;
    check_evidence(&document["report"])?;
    let text = graft(&pair, &["report", "clothes"])?;
    for words in ["clothes@1: not ready", "95% interval", "balanced accuracy", "surest mistakes", "likely label errors"]
    {
        ensure!(text.contains(words), "`{words}` is missing in {text}");
    }

    let page = folder.path().join("report.html").to_string_lossy().into_owned();
    graft(&pair, &["report", "clothes", "--html", &page, "--images", &images])?;
    let seen = open_page(Path::new(&page))?;
    let plots = [
        "F1 of each class",
        "Confusion matrix",
        "Reliability before calibration",
        "Reliability as served",
        "Learning curve",
        "Validation log loss by L2",
    ];
    shows(&seen, &plots, &["warnings", "figures", "mistakes", "label-errors", "unknown", "provenance"])?;
    ensure!(seen["pictures"].as_u64() > Some(10), "mistakes have pictures: {}", seen["pictures"]);
    Ok(())
}

fn check_evidence(report: &Value) -> Result<()> {
    let number = |value: &Value| value.as_f64().with_context(|| format!("a number: {value}"));
    let accuracy = number(&report["accuracy"])?;
    let bounds = &report["intervals"]["accuracy"];
    ensure!(number(&bounds[0])? < accuracy && number(&bounds[1])? > accuracy, "{bounds} around {accuracy}");
    ensure!(accuracy > number(&report["majority_accuracy"])? + 0.3, "{accuracy}");

    let kinds: Vec<&str> =
        report["warnings"].as_array().context("warnings")?.iter().filter_map(|w| w["kind"].as_str()).collect();
    for kind in ["near_duplicates", "small_test"] {
        ensure!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    ensure!(!kinds.contains(&"no_better_than_majority") && !kinds.contains(&"no_test"), "{kinds:?}");

    let errors = report["label_errors"]["errors"].as_array().context("label errors")?;
    let swapped = errors.iter().filter(|error| error["label"] == LABELS[1] && error["suggested"] == LABELS[8]).count();
    // Some of the 8 are in the test split, which is not looked at.
    ensure!((4..=SWAPPED).contains(&swapped), "{swapped} of the bags among the trousers were found: {errors:#?}");

    let curve = report["learning_curve"]["points"].as_array().context("a learning curve")?;
    ensure!(curve.len() == 4, "{curve:?}");
    ensure!(number(&curve[3]["accuracy"])? == accuracy, "the last point is the head itself: {curve:?}");
    ensure!(number(&curve[0]["examples"])? < number(&curve[3]["examples"])? / 6.0, "{curve:?}");
    ensure!(number(&report["learning_curve"]["forecast"]["accuracy"])? >= 0.5, "{}", report["learning_curve"]);

    ensure!((0.1..=10.0).contains(&number(&report["calibration"]["temperature"])?), "{}", report["calibration"]);
    let bins = report["calibration"]["after"].as_array().context("bins")?;
    let binned: f64 = bins.iter().filter_map(|bin| bin["count"].as_f64()).sum();
    ensure!(bins.len() == 15 && binned == number(&report["test_count"])?, "{bins:?}");
    let coverage = number(&report["unknown"]["coverage"])?;
    ensure!(coverage > 0.5 && number(&report["unknown"]["accuracy"])? >= accuracy - 0.02, "{}", report["unknown"]);
    Ok(())
}
