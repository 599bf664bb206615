//! `fit-memory`: the most memory of a process that fits 60,000 rows with the default options, 200 MB taken off, over the size of
//! the embeddings themselves.

use anyhow::Result;

use super::{
    Figure, Target,
    fashion_embedded::{Part, embedded},
    fit_process::Task,
};

/// Rows to fit on and to choose with.
const ROWS: usize = 60_000;
/// What the program and the matrices of the minimiser may take, whatever the rows.
const FIXED: f64 = 200e6;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let found = embedded(Part::Train, ROWS).await?;
    let (folder, dimension) = (found.folder, found.dimension);
    let task = Task { folder, dimension, rows: ROWS, choose: true, l2: Vec::new(), test: 0, head: None };
    let outcome = task.start()?;
    let size = (ROWS * dimension * size_of::<f32>()) as f64;
    let note = format!(
        "{:.0} MB at the most, embeddings of {:.0} MB, {:.1} s",
        outcome.peak / 1e6,
        size / 1e6,
        outcome.seconds
    );
    let value = (outcome.peak - FIXED) / size;
    Ok(vec![Figure { name: "fit-memory", unit: "ratio", value, target: Target::AtMost(1.6), note }])
}
