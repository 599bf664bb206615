//! `fit-path`: choosing among 20 values of L2 and fitting with the best, over one fit with the value that was chosen.

use anyhow::Result;

use super::{
    Figure, Target,
    fashion_embedded::{Part, embedded},
    fit_process::Task,
};

/// Rows to fit on and to choose with.
const ROWS: usize = 12_000;
/// Values, from 1 down to 1e-4.
const VALUES: usize = 20;
/// Runs of each; the fastest counts.
const RUNS: usize = 3;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let found = embedded(Part::Train, ROWS).await?;
    let l2 = (0..VALUES).map(|step| 10f64.powf(-4.0 * step as f64 / (VALUES - 1) as f64)).collect();
    let (folder, dimension) = (found.folder, found.dimension);
    let path = Task { folder, dimension, rows: ROWS, choose: true, l2, test: 0, head: None };
    let mut chosen = path.start()?;
    let one = Task { choose: false, l2: vec![chosen.l2], ..path.clone() };
    let mut alone = one.start()?;
    for _ in 1..RUNS {
        chosen.seconds = chosen.seconds.min(path.start()?.seconds);
        alone.seconds = alone.seconds.min(one.start()?.seconds);
    }
    let note = format!(
        "{:.3} s and {} iterations for {VALUES} values, of which {:.4} was chosen; {:.3} s and {} iterations for it alone",
        chosen.seconds, chosen.total_iterations, chosen.l2, alone.seconds, alone.total_iterations
    );
    let value = chosen.seconds / alone.seconds;
    Ok(vec![Figure { name: "fit-path", unit: "ratio", value, target: Target::AtMost(4.0), note }])
}
