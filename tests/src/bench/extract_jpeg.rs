//! `extract-jpeg`: images/s of 2,000 JPEGs of 500 × 375 through `Extract` over those of the [`ceiling`](super::ceiling).

use anyhow::Result;

use super::{Figure, Target, ceiling::compare, images::photos};

/// JPEGs in all, and turns to measure them in.
const JPEGS: usize = 2_000;
const TURNS: usize = 4;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    Ok(vec![compare("extract-jpeg", &photos(JPEGS)?, TURNS, Target::AtLeast(0.95)).await?])
}
