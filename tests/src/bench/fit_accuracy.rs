//! `fit-accuracy`: the part of 10,000 test images that a head with the default options classifies rightly, fitted on the
//! default backbone's embeddings of 10,000 others.

use anyhow::Result;

use super::{
    Figure, Target,
    fashion_embedded::{Part, embedded},
    fit_process::Task,
};

/// Images to fit on, and to measure on.
const ROWS: usize = 10_000;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    embedded(Part::Test, ROWS).await?;
    let found = embedded(Part::Train, ROWS).await?;
    let (folder, dimension) = (found.folder, found.dimension);
    let task = Task { folder, dimension, rows: ROWS, choose: true, l2: Vec::new(), test: ROWS, head: None };
    let outcome = task.start()?;
    let note = format!("L2 {:.4} chosen, {:.2} s", outcome.l2, outcome.seconds);
    let target = Target::AtLeast(0.884);
    Ok(vec![Figure { name: "fit-accuracy", unit: "accuracy", value: outcome.accuracy, target, note }])
}
