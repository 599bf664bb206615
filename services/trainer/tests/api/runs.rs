//! Training runs through restarts, cancelling and damage.

use std::{fs, time::Duration};

use crate::place::{Place, in_both};
use futures::TryStreamExt;
use graft_proto::v1::{Split, TrainingOptions, TrainingRun, TrainingState};
use graft_trainer::{
    classify::{HeadCache, traffic::Traffic},
    content::ContentHash,
    names::{HeadRef, Name, Tenant},
    runs::Runs,
    store::{Store, examples::ExampleRow, segments::NewExample},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

in_both!(
    a_run_writes_a_head_once_and_tells_of_it,
    a_run_is_cancelled_while_it_waits_and_while_it_is_fitted,
    a_run_that_a_stop_interrupts_is_taken_up_at_the_next_start,
    damage_is_named_and_stays_where_it_is,
);

/// Numbers in an embedding.
const DIMENSION: u32 = 32;
/// More than any test needs, in bytes.
const MEMORY: usize = 1 << 30;

/// A dataset `d` of two classes that noise makes hard to tell apart.
async fn fill(store: &Store, rows: u32) {
    let (tenant, name) = (Tenant::default(), Name::parse("name", "d").unwrap());
    store.create_dataset(&tenant, &name, "net", "net@0", DIMENSION, false).await.unwrap();
    let dataset = store.dataset(&tenant, &name).await.unwrap().unwrap();
    let examples: Vec<NewExample> = (0..rows)
        .map(|index| {
            let hash = ContentHash::from_slice(blake3::hash(&index.to_le_bytes()).as_bytes()).unwrap();
            let mut noise = *hash.as_bytes();
            noise[0] = noise[0] / 2 + (index % 2) as u8 * 40;
            let label = if index % 2 == 0 { "even" } else { "odd" };
            let row = ExampleRow { hash, id: index.to_string(), labels: vec![label.into()], split: Split::Train };
            NewExample { row, embedding: Some(noise.iter().map(|n| f32::from(*n)).collect()), views: Vec::new() }
        })
        .collect();
    store.add(&tenant, &dataset, &examples).await.unwrap().unwrap();
}

async fn start(place: &Place) -> (Store, Runs, CancellationToken) {
    let (store, stop) = (place.open().await, CancellationToken::new());
    let runs = Runs::start(store.clone(), MEMORY, stop.clone()).await.unwrap();
    (store, runs, stop)
}

async fn end(runs: &Runs, id: &str) -> TrainingRun {
    let states: Vec<TrainingRun> = runs.follow(&Tenant::default(), id).await.unwrap().try_collect().await.unwrap();
    states.into_iter().last().unwrap()
}

/// Options that keep a fit busy for long enough to interrupt it.
fn long() -> TrainingOptions {
    TrainingOptions {
        l2: (1..=64).map(|step| 1e-6 * f64::from(step)).collect(),
        max_iterations: 10_000,
        ..Default::default()
    }
}

async fn running(runs: &Runs, id: &str) {
    let mut states = runs.follow(&Tenant::default(), id).await.unwrap();
    while let Some(run) = states.try_next().await.unwrap() {
        if run.progress.is_some_and(|progress| progress.iterations > 0) {
            return;
        }
        assert!(matches!(run.state(), TrainingState::Queued | TrainingState::Running), "{run:?}");
    }
}

async fn a_run_writes_a_head_once_and_tells_of_it(place: Place) {
    let (store, runs, stop) = start(&place).await;
    fill(&store, 200).await;
    let tenant = Tenant::default();
    let first = runs.create(&tenant, "d", "h", "", TrainingOptions::default()).await.unwrap();
    let second = runs.create(&tenant, "d", "h", "", TrainingOptions::default()).await.unwrap();
    let ended = [end(&runs, &first.id).await, end(&runs, &second.id).await];
    assert_eq!(ended.each_ref().map(|run| run.head_version), [1, 2], "{ended:?}");
    assert!(ended.iter().all(|run| run.progress.unwrap().fraction == 1.0 && run.end_time.is_some()));
    let again = end(&runs, &first.id).await;
    assert_eq!(again, ended[0], "who comes late is told the end");
    stop.cancel();
    runs.stopped().await;
}

async fn a_run_is_cancelled_while_it_waits_and_while_it_is_fitted(place: Place) {
    let (store, runs, _stop) = start(&place).await;
    fill(&store, 4000).await;
    let tenant = Tenant::default();
    let busy = runs.create(&tenant, "d", "h", "", long()).await.unwrap();
    let waits = runs.create(&tenant, "d", "h", "", long()).await.unwrap();
    running(&runs, &busy.id).await;
    assert_eq!(runs.cancel(&tenant, &waits.id).await.unwrap().state(), TrainingState::Cancelled);
    assert_eq!(runs.cancel(&tenant, &busy.id).await.unwrap().state(), TrainingState::Cancelled);
    assert_eq!(runs.cancel(&tenant, &busy.id).await.unwrap().state(), TrainingState::Cancelled, "once more is fine");
    let listed = runs.list(&tenant, "d", "", 10).await.unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|run| run.state() == TrainingState::Cancelled), "{listed:?}");
    let unknown = runs.cancel(&tenant, "none").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(store.heads(&tenant, "", 10).await.unwrap().is_empty(), "no head is left behind");
}

async fn a_run_that_a_stop_interrupts_is_taken_up_at_the_next_start(place: Place) {
    let (store, runs, stop) = start(&place).await;
    fill(&store, 4000).await;
    let tenant = Tenant::default();
    let busy = runs.create(&tenant, "d", "h", "", long()).await.unwrap();
    let waits = runs.create(&tenant, "d", "h", "", TrainingOptions::default()).await.unwrap();
    running(&runs, &busy.id).await;
    let watched = runs.follow(&tenant, &busy.id).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), runs.stopped()).await.unwrap();
    let told = watched.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(told.code(), Code::Unavailable, "whoever watches is told to come back");
    drop((runs, store));

    let (_, runs, _stop) = start(&place).await;
    running(&runs, &busy.id).await;
    runs.cancel(&tenant, &busy.id).await.unwrap();
    assert_eq!(end(&runs, &waits.id).await.head_version, 1);
}

async fn damage_is_named_and_stays_where_it_is(place: Place) {
    let (store, runs, _stop) = start(&place).await;
    fill(&store, 200).await;
    let tenant = Tenant::default();
    let good = runs.create(&tenant, "d", "h", "", TrainingOptions::default()).await.unwrap();
    assert_eq!(end(&runs, &good.id).await.head_version, 1);

    let damaged = |kind: &str| {
        let file = fs::read_dir(place.path(kind)).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        format!("{kind}/{}", file.file_name().unwrap().to_str().unwrap())
    };
    let segment = damaged("segments");
    let bad = runs.create(&tenant, "d", "h", "", TrainingOptions::default()).await.unwrap();
    let ended = end(&runs, &bad.id).await;
    assert!(ended.state() == TrainingState::Failed && ended.error.contains(&segment), "{ended:?}");

    let heads = HeadCache::new(store, 1 << 20, Traffic::default());
    let wanted = HeadRef::parse("head", "h").unwrap();
    heads.get(&tenant, &wanted).await.unwrap();
    let file = damaged("heads");
    heads.get(&tenant, &wanted).await.unwrap();
    heads.forget(&tenant, &wanted);
    let status = heads.get(&tenant, &wanted).await.unwrap_err();
    assert!(status.code() == Code::DataLoss && status.message().contains(&file), "{status:?}");
}
