//! Streams that do what no good client does: the others go on, and memory stays bounded.

use std::time::Duration;

use anyhow::{Result, ensure};
use graft_proto::v1::{ExtractOptions, ExtractRequest, Image};
use graft_tests::{
    calls::{extract, extract_messages},
    fashion,
    services::Service,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;

fn rows(count: usize) -> Result<Vec<(String, Image)>> {
    let row = fashion::reference()?[0].image();
    Ok((0..count).map(|index| (index.to_string(), row.clone())).collect())
}

#[tokio::test]
async fn a_thousand_streams_that_say_nothing_hold_nobody_up() -> Result<()> {
    // No more streams than a few: one that has not said what it wants does not count yet.
    let extractor = Service::extractor(&["--max-streams", "4"]).await?;
    ensure!(extract(&extractor, ExtractOptions::default(), rows(8)?).await?.len() == 8);
    let before = extractor.peak_memory()?;
    let client = extractor.extractor_client().await?;
    let mut silent = JoinSet::new();
    for _ in 0..1000 {
        let mut client = client.clone();
        silent.spawn(async move { client.extract(tokio_stream::pending::<ExtractRequest>()).await });
    }
    while extractor.metric("graft_rpc_in_flight", "Extract").await? < 1000.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let embedded = extract(&extractor, ExtractOptions::default(), rows(200)?).await?;
    ensure!(embedded.len() == 200 && embedded.values().all(Result::is_ok), "the others go on");
    let grown = extractor.peak_memory()?.saturating_sub(before);
    ensure!(grown < 100 << 20, "{} MiB for streams that say nothing", grown >> 20);
    silent.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_goes_away_half_way_frees_what_it_had() -> Result<()> {
    let extractor = Service::extractor(&["--stream-window", "1024"]).await?;
    let (requests, receiver) = mpsc::channel(64);
    for message in extract_messages(ExtractOptions::default(), rows(1000)?) {
        requests.try_send(message)?;
    }
    let half = ReceiverStream::new(receiver);
    let mut answers = extractor.extractor_client().await?.extract(half).await?.into_inner();
    for _ in 0..4 {
        ensure!(answers.message().await?.is_some(), "it has begun");
    }
    // HTTP/2 resets a stream when both of its halves are dropped.
    drop((requests, answers));
    let depth = async || extractor.metric("graft_extractor_queue_depth_images", "bulk").await;
    while depth().await? > 0.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(done < 500.0, "what nobody waits for is not run: {done}");
    let embedded = extract(&extractor, ExtractOptions::default(), rows(50)?).await?;
    ensure!(embedded.values().all(Result::is_ok), "the next stream is served");
    while extractor.metric("graft_rpc_in_flight", "Extract").await? > 0.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
