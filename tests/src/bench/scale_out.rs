//! `scale-out`: images/s of an import over two extractors of one thread each, over those of one.
//!
//! Both extractors run all the time, and a trainer for each side: one knows one extractor, the other both. Who is not asked
//! does nothing. The trainer and the client work on the same cores, so what they take of them is in the ratio.

use std::time::Instant;

use anyhow::{Result, ensure};
use graft_proto::v1::{Example, Image, Outcome, Split};
use tempfile::TempDir;

use super::{Figure, Target};
use crate::{
    calls::{create_dataset, example, import},
    fashion::{self, Row, pixels},
    services::Service,
};

/// Images of one import, and imports of each side.
const IMAGES: usize = 1000;
const TURNS: usize = 5;

/// A trainer, and what it has imported.
struct Side {
    trainer: Service,
    rates: Vec<f64>,
    _data: TempDir,
}

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let extractors = [Service::extractor(&["--threads", "1"]).await?, Service::extractor(&["--threads", "1"]).await?];
    let both = format!("{},{}", extractors[0].url(), extractors[1].url());
    let mut sides = [Side::start(&extractors[0].url()).await?, Side::start(&both).await?];
    let rows = fashion::train()?;
    let mut made = 0;
    // The first turn loads what is loaded once.
    for turn in 0..=TURNS {
        for side in &mut sides {
            let rate = side.import(&rows, made).await?;
            made += IMAGES;
            if turn > 0 {
                side.rates.push(rate);
            }
        }
    }
    let [one, two] = sides.map(|side| median(side.rates));
    Ok(vec![Figure {
        name: "scale-out",
        unit: "ratio",
        value: two / one,
        target: Target::AtLeast(1.8),
        note: format!("{two:.0} images/s with two extractors of one thread, {one:.0} with one"),
    }])
}

impl Side {
    async fn start(extractors: &str) -> Result<Side> {
        let data = TempDir::new()?;
        let trainer = Service::trainer(extractors, data.path(), &[]).await?;
        create_dataset(&trainer, "d").await?;
        Ok(Side { trainer, rates: Vec::new(), _data: data })
    }

    /// Import new images, those from number `first` on: how many a second.
    async fn import(&self, rows: &[Row], first: usize) -> Result<f64> {
        let examples: Vec<Example> = (first..first + IMAGES)
            .map(|number| {
                let row = &rows[number % rows.len()];
                example(&number.to_string(), &row.label, Split::Train, new(row, number))
            })
            .collect();
        let begun = Instant::now();
        let outcomes = import(&self.trainer, "d", examples).await?;
        let took = begun.elapsed().as_secs_f64();
        let stored = outcomes.iter().filter(|outcome| outcome.outcome() == Outcome::Stored).count();
        ensure!(stored == IMAGES, "{stored} of {IMAGES} images are new");
        Ok(IMAGES as f64 / took)
    }
}

/// The row with its number in its corner, so that no other is the same.
fn new(row: &Row, number: usize) -> Image {
    let mut data = row.pixels.to_vec();
    data[..8].copy_from_slice(&(number as u64).to_le_bytes());
    pixels(28, 28, 1, data)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}
