//! `graft dataset snapshot` and `snapshots`.

use anyhow::{Context, Result};
use graft_client::{
    Graft,
    proto::{CreateSnapshotRequest, ListSnapshotsRequest, Snapshot},
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
    pages::{ALL, pages},
};

pub async fn create(graft: &Graft, output: Output, dataset: String) -> Result<Done> {
    let answer = graft.trainer.datasets().create_snapshot(CreateSnapshotRequest { dataset }).await;
    let snapshot =
        answer.map_err(|status| graft.trainer.error(status))?.into_inner().snapshot.context("no snapshot")?;
    let Snapshot { id, example_count, .. } = &snapshot;
    output.show(|| format!("{id}: {example_count} examples"), || describe(&snapshot))?;
    Ok(Done::All)
}

pub async fn list(graft: &Graft, output: Output, dataset: String) -> Result<Done> {
    let page = async |page_size, page_token| {
        let request = ListSnapshotsRequest { dataset: dataset.clone(), page_size, page_token };
        let answer = graft.trainer.datasets().list_snapshots(request).await;
        let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        Ok((page.snapshots, page.next_page_token))
    };
    let snapshots = pages(ALL, page).await?.entries;
    let row = |s: &Snapshot| vec![s.id.clone(), s.example_count.to_string(), s.space.clone()];
    let text = || table(&["snapshot", "examples", "space"], &snapshots.iter().map(row).collect::<Vec<_>>());
    output.show(text, || snapshots.iter().map(describe).collect())?;
    Ok(Done::All)
}

fn describe(snapshot: &Snapshot) -> Value {
    let seconds = snapshot.create_time.map(|time| time.seconds);
    json!({
        "id": snapshot.id, "dataset": snapshot.dataset, "space": snapshot.space, "examples": snapshot.example_count,
        "multi_label": snapshot.multi_label, "create_time_seconds": seconds,
    })
}
