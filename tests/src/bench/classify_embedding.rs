//! `classify-embedding`: `Classify` of an embedding by a head of ten classes: p50 of one call after the other; and p99 with half of
//! the calls that can be answered, sent when their time has come whether others are answered or not, and timed from then. How many
//! can be answered is found by sending them so: callers that wait for each other make larger batches, and more of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, classifier_service_client::ClassifierServiceClient, classify_input::Input,
};
use tokio::{runtime::Handle, task::JoinHandle};
use tonic::transport::Channel;

use super::{Figure, Target, fitted, stream::quantile};
use crate::services::Pair;

/// Classes of the head.
const CLASSES: usize = 10;
/// Calls one after the other.
const CALLS: usize = 3000;
/// Callers at once that find out how many calls are too many, and for how long.
const CALLERS: usize = 32;
const SATURATE: Duration = Duration::from_secs(4);
/// How long half of what can be answered is sent, and how long it is tried how many can be.
const STEADY: Duration = Duration::from_secs(8);
const TRY: Duration = Duration::from_secs(2);
/// p99 of calls that are too many is higher: they wait for each other, and ever longer.
const KEPT_UP_MS: f64 = 20.0;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let pair = Pair::start().await?;
    let space = fitted::Space::of(&pair.extractor).await?;
    fitted::register(&pair, &space, 1, CLASSES).await?;
    let input = Some(ClassifyInput { input: Some(Input::Embedding(space.embedding(7))) });
    let request = Arc::new(ClassifyRequest { head: fitted::name(0), input, ..Default::default() });
    let client = pair.trainer.classifier_client().await?;
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        took.push(call(client.clone(), &request, Instant::now()).await?);
    }
    let p50 = quantile(&took, 0.5);
    let most = capacity(&client, &request, saturate(&client, &request).await?).await?;
    let steady = steady(&client, &request, most / 2.0, STEADY).await?;
    let p99 = quantile(&steady, 0.99);
    let alone = format!("{CALLS} calls, p99 {:.2} ms", quantile(&took, 0.99));
    let loaded = format!("{:.0} calls/s of {most:.0}, p50 {:.2} ms", most / 2.0, quantile(&steady, 0.5));
    Ok(vec![
        Figure { name: "classify-embedding", unit: "ms", value: p50, target: Target::AtMost(0.5), note: alone },
        Figure { name: "classify-embedding-p99", unit: "ms", value: p99, target: Target::AtMost(2.0), note: loaded },
    ])
}

/// One call: how long after `due` it was answered.
async fn call(
    mut client: ClassifierServiceClient<Channel>,
    request: &ClassifyRequest,
    due: Instant,
) -> Result<Duration> {
    let answer = client.classify(request.clone()).await?.into_inner();
    ensure!(answer.predictions.len() == 5, "{answer:?}");
    Ok(due.elapsed())
}

/// Calls a second, where each caller makes the next as soon as it has its answer.
async fn saturate(client: &ClassifierServiceClient<Channel>, request: &Arc<ClassifyRequest>) -> Result<f64> {
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::spawn(async move {
            let mut calls = 0u64;
            while begun.elapsed() < SATURATE {
                call(client.clone(), &request, Instant::now()).await?;
                calls += 1;
            }
            Ok::<_, anyhow::Error>(calls)
        })
    });
    let calls = try_join_all(callers).await?.into_iter().sum::<Result<u64>>()?;
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

/// Calls a second that can be answered, in tenths of `most`.
async fn capacity(client: &ClassifierServiceClient<Channel>, request: &Arc<ClassifyRequest>, most: f64) -> Result<f64> {
    for tenths in (1..=10).rev() {
        let rate = most * f64::from(tenths) / 10.0;
        if quantile(&steady(client, request, rate, TRY).await?, 0.99) < KEPT_UP_MS {
            return Ok(rate);
        }
    }
    bail!("not even a tenth of {most:.0} calls a second is answered in time")
}

/// How long each of `rate` calls a second took from when it was due.
async fn steady(
    client: &ClassifierServiceClient<Channel>,
    request: &Arc<ClassifyRequest>,
    rate: f64,
    time: Duration,
) -> Result<Vec<Duration>> {
    let (client, request, handle) = (client.clone(), request.clone(), Handle::current());
    // A thread of its own keeps the time to some ten microseconds; tokio's timers to a millisecond.
    let pace = move || {
        let begun = Instant::now();
        let count = (rate * time.as_secs_f64()) as u32;
        let sent: Vec<JoinHandle<Result<Duration>>> = (0..count)
            .map(|at| {
                let due = begun + Duration::from_secs_f64(f64::from(at) / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let (client, request) = (client.clone(), request.clone());
                handle.spawn(async move { call(client, &request, due).await })
            })
            .collect();
        sent
    };
    let sent = tokio::task::spawn_blocking(pace).await.context("the thread that keeps the time")?;
    try_join_all(sent).await?.into_iter().collect()
}
