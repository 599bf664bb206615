//! `extract-rows`: images/s of a stream of rows through `Extract`, client and server in processes of their own, over the
//! images/s of the [`ceiling`](super::ceiling).
//!
//! Both are measured in turns, so that what else the machine does hits both.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use graft_extractor::decode::{RawPixels, Source};
use graft_proto::v1::{ExtractOptions, Image};

use super::{Figure, Target, ceiling::Ceiling};
use crate::{calls::extract, fashion, services::Service};

/// Rows in all, and turns to measure them in.
const ROWS: usize = 5_000;
const TURNS: usize = 5;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let rows: Vec<_> = fashion::train()?.into_iter().cycle().take(ROWS).collect();
    let extractor = Service::extractor(&[]).await?;
    let ceiling = Ceiling::new()?;
    let (mut served, mut bare) = (Duration::ZERO, Duration::ZERO);
    for turn in rows.chunks(ROWS / TURNS) {
        served += serve(&extractor, turn).await?;
        bare += ceiling.run(&turn.iter().map(source).collect::<Vec<_>>())?;
    }
    let rate = |took: Duration| ROWS as f64 / took.as_secs_f64();
    let note = format!("{:.0} images/s served, {:.0} in a plain loop", rate(served), rate(bare));
    let value = rate(served) / rate(bare);
    Ok(vec![Figure { name: "extract-rows", unit: "ratio", value, target: Target::AtLeast(0.85), note }])
}

async fn serve(extractor: &Service, rows: &[fashion::Row]) -> Result<Duration> {
    let items: Vec<(String, Image)> =
        rows.iter().enumerate().map(|(index, row)| (index.to_string(), row.image())).collect();
    let begun = Instant::now();
    let embedded = extract(extractor, ExtractOptions::default(), items).await?;
    let took = begun.elapsed();
    ensure!(embedded.len() == rows.len() && embedded.values().all(Result::is_ok), "every row is embedded");
    Ok(took)
}

fn source(row: &fashion::Row) -> Source {
    Source::Pixels(RawPixels { height: 28, width: 28, channels: 1, data: row.pixels.clone() })
}
