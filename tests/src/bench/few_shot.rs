//! `few-shot-5`, `few-shot-10`, `few-shot-20`: so many examples a class of Fashion-MNIST, drawn 20 times; the mean test accuracy of
//! heads of the kind `auto` over that of scikit-learn's `LogisticRegressionCV`, which chooses its C by cross-validation. Both get
//! the same draws.

use std::{fs, ops::ControlFlow, path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use clap::Parser;
use graft_trainer::fit::{FitOptions, HeadKind, TrainingData, fit_head, random::Random};
use serde_json::{Value, json};

use super::{
    Figure, Target,
    fashion_embedded::{Embedded, Part, embedded},
    fit_process::{CLASSES, answer, correct},
    images,
};
use crate::services;

/// Examples a class.
const SIZES: [(&str, usize); 3] = [("few-shot-5", 5), ("few-shot-10", 10), ("few-shot-20", 20)];
/// Draws of each size.
const DRAWS: usize = 20;
/// The rows to draw from, and those to measure on.
const POOL: usize = 12_000;
const TEST: usize = 10_000;

/// Many small fits in one process.
#[derive(Clone, Debug, Parser)]
pub struct FewShot {
    /// The folder of the embeddings.
    #[arg(long)]
    pub folder: PathBuf,
    /// Numbers in an embedding.
    #[arg(long)]
    pub dimension: usize,
    /// Rows of each draw.
    #[arg(long)]
    pub rows: usize,
    /// The rows of all draws, little-endian u32.
    #[arg(long)]
    pub draws: PathBuf,
}

/// Do it in this process: the accuracy of each draw, and the kind that won.
pub fn run_here(task: &FewShot) -> Result<Value> {
    let read = |part, rows| Embedded::open(&task.folder, part, rows, task.dimension)?.read();
    let ((pool, pool_labels), (test, test_labels)) = (read(Part::Train, POOL)?, read(Part::Test, TEST)?);
    let (mut accuracies, mut kinds) = (Vec::new(), Vec::new());
    for rows in indices(&fs::read(&task.draws)?).chunks_exact(task.rows) {
        let row = |row: &usize| pool[row * task.dimension..(row + 1) * task.dimension].iter().copied();
        let embeddings = rows.iter().flat_map(row).collect();
        let labels: Vec<u32> = rows.iter().map(|row| pool_labels[*row]).collect();
        let data = TrainingData::new(embeddings, task.dimension, labels, CLASSES, task.rows)?;
        let options = FitOptions { head: HeadKind::Auto, ..FitOptions::default() };
        let fitted = fit_head(data, &options, &mut |_| ControlFlow::Continue(()))?;
        let logits = fitted.head.logits(test.clone(), TEST)?;
        accuracies.push(correct(&logits, &test_labels) as f64 / TEST as f64);
        kinds.push(fitted.kind.name());
    }
    Ok(json!({ "accuracies": accuracies, "kinds": kinds }))
}

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    embedded(Part::Test, TEST).await?;
    let found = embedded(Part::Train, POOL).await?;
    let labels = found.read()?.1;
    SIZES.iter().map(|(name, size)| measure(name, *size, &found, &labels)).collect()
}

fn measure(name: &'static str, size: usize, found: &Embedded, labels: &[u32]) -> Result<Figure> {
    let draws = tempfile::NamedTempFile::new()?;
    fs::write(draws.path(), draw(labels, size))?;
    let rows = (size * CLASSES).to_string();
    let dimension = found.dimension.to_string();
    let mut ours = Command::new(services::binaries().join("graft-fit"));
    ours.arg("few-shot").arg("--folder").arg(&found.folder).arg("--draws").arg(draws.path());
    ours.args(["--dimension", &dimension, "--rows", &rows]);
    let mut theirs = images::command("few_shot_peer.py")?;
    theirs.arg(&found.folder).args([&dimension, &rows]).arg(draws.path());
    theirs.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
    let (ours, theirs) = (answer(ours)?, answer(theirs)?);
    let (our_mean, their_mean) = (mean(&ours["accuracies"])?, mean(&theirs["accuracies"])?);
    let kinds: Vec<&str> = ours["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut won: Vec<(&str, usize)> = Vec::new();
    for kind in kinds {
        match won.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => won.push((kind, 1)),
        }
    }
    let won: Vec<String> = won.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let note = format!("{our_mean:.4} with auto ({}), {their_mean:.4} with scikit-learn", won.join(", "));
    Ok(Figure { name, unit: "ratio", value: our_mean / their_mean, target: Target::AtLeast(1.0), note })
}

/// The rows of all draws: `size` of each class each time, none twice in a draw.
fn draw(labels: &[u32], size: usize) -> Vec<u8> {
    let mut random = Random::new(size as u64);
    let mut bytes = Vec::new();
    for _ in 0..DRAWS {
        for class in 0..CLASSES as u32 {
            let mut members: Vec<u32> = (0..POOL as u32).filter(|row| labels[*row as usize] == class).collect();
            random.shuffle(&mut members);
            bytes.extend(members[..size].iter().flat_map(|row| row.to_le_bytes()));
        }
    }
    bytes
}

fn indices(bytes: &[u8]) -> Vec<usize> {
    bytes.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four) as usize).collect()
}

fn mean(numbers: &Value) -> Result<f64> {
    let numbers: Vec<f64> = numbers.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    ensure!(numbers.len() == DRAWS, "{} accuracies instead of {DRAWS}", numbers.len());
    Ok(numbers.iter().sum::<f64>() / DRAWS as f64)
}
