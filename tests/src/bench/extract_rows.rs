//! `extract-rows`: images/s of 20,000 rows of 28 × 28 through `Extract` over those of the [`ceiling`](super::ceiling).

use anyhow::Result;

use super::{Figure, Target, ceiling::compare, images::rows};

/// Rows in all, and turns to measure them in.
const ROWS: usize = 20_000;
const TURNS: usize = 10;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    Ok(vec![compare("extract-rows", &rows(ROWS)?, TURNS, Target::AtLeast(0.95)).await?])
}
