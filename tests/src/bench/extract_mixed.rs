//! `extract-mixed`: p99 of interactive requests, one after the other, while a bulk stream saturates the extractor, over the mean
//! time of one bulk batch.

use anyhow::{Result, ensure};
use graft_proto::v1::{ExtractOptions, Priority};

use super::{
    Figure, Target,
    images::rows,
    stream::{Stream, quantile},
};
use crate::services::Service;

/// Interactive requests.
const REQUESTS: usize = 400;
/// Bulk images under way: as many as the extractor takes from one stream.
const BULK: usize = 128;
/// Bulk images before the measurement begins, so that the stream saturates.
const BEFORE: usize = 512;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let extractor = Service::extractor(&[]).await?;
    let images = rows(4096)?;
    let mut bulk = Stream::open(&extractor, ExtractOptions::default()).await?;
    bulk.run(&images[..BEFORE], BULK).await?;
    let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
    let mut interactive = Stream::open(&extractor, options).await?;
    let before = batches(&extractor).await?;
    let took = tokio::select! {
        took = interactive.run(&images[..REQUESTS], 1) => took?,
        ended = saturate(&mut bulk, &images) => return Err(ended),
    };
    let after = batches(&extractor).await?;
    ensure!(after.0 > before.0, "the bulk stream went on");
    let batch = (after.1 - before.1) / (after.0 - before.0) * 1e3;
    let (p50, p99) = (quantile(&took, 0.5), quantile(&took, 0.99));
    let note = format!("p50 {p50:.1} ms, p99 {p99:.1} ms; a bulk batch takes {batch:.1} ms");
    Ok(vec![Figure { name: "extract-mixed", unit: "ratio", value: p99 / batch, target: Target::AtMost(2.5), note }])
}

/// Keep the bulk stream full. It ends only with an error.
async fn saturate(bulk: &mut Stream, images: &[graft_proto::v1::Image]) -> anyhow::Error {
    let mut images = images.iter().cycle();
    loop {
        let room = BULK.saturating_sub(bulk.unanswered());
        if let Err(error) = bulk.send(images.by_ref().take(room)) {
            return error;
        }
        if let Err(error) = bulk.receive().await {
            return error;
        }
    }
}

/// Bulk batches that were run, and the seconds they took in all.
async fn batches(extractor: &Service) -> Result<(f64, f64)> {
    let bulk = "priority=\"bulk\"";
    let count = extractor.metric("graft_extractor_run_seconds_count", bulk).await?;
    Ok((count, extractor.metric("graft_extractor_run_seconds_sum", bulk).await?))
}
