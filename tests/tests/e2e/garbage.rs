//! What was deleted is collected, and what anybody needs is not.

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    CollectGarbageRequest, CollectGarbageResponse, DeleteDatasetRequest, DeleteHeadRequest, ListSnapshotsRequest, Split,
};
use graft_tests::{
    calls::{create_dataset, examples, import, train},
    command::{expect, graft},
    fashion,
    services::{Pair, Service},
};

async fn collect(trainer: &Service, dry_run: bool) -> Result<CollectGarbageResponse> {
    let request = CollectGarbageRequest { dry_run };
    Ok(trainer.maintenance_client().await?.collect_garbage(request).await?.into_inner())
}

fn segments(pair: &Pair) -> usize {
    std::fs::read_dir(pair.data.path().join("segments")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_was_deleted_goes_when_no_head_needs_it() -> Result<()> {
    let mut pair = Pair::start().await?;
    let rows = fashion::train()?;
    for (dataset, rows) in [("kept", &rows[..60]), ("gone", &rows[..200])] {
        create_dataset(&pair.trainer, dataset).await?;
        import(&pair.trainer, dataset, examples(rows, Split::Unspecified, 0)).await?;
        train(&pair.trainer, dataset).await?;
    }
    ensure!(collect(&pair.trainer, true).await? == CollectGarbageResponse::default(), "all is needed");
    let request = DeleteDatasetRequest { name: "gone".into() };
    pair.trainer.dataset_client().await?.delete_dataset(request).await?;
    let found = collect(&pair.trainer, false).await?;
    ensure!(found.embedding_count == 0 && found.snapshot_count == 0, "its head has its snapshot still: {found:?}");
    let request = ListSnapshotsRequest { dataset: "gone".into(), ..Default::default() };
    let snapshots = pair.trainer.dataset_client().await?.list_snapshots(request).await?.into_inner().snapshots;
    ensure!(snapshots.len() == 1, "{snapshots:?}");

    pair.trainer.head_client().await?.delete_head(DeleteHeadRequest { name: "gone".into() }).await?;
    let told = collect(&pair.trainer, true).await?;
    ensure!(told.snapshot_count == 1, "{told:?}");
    let run = |arguments: &[&str]| graft(&pair.trainer.url(), &pair.extractor.url(), arguments);
    expect(run(&["gc", "--dry-run"])?, 0, &["would be removed", "snapshots"])?;
    let text = expect(run(&["gc", "--output", "json"])?, 0, &[])?;
    let done: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(done["embeddings"] == 140 && done["snapshots"] == 1, "those of the first 60 are needed: {done}");
    ensure!(pair.trainer.metric("graft_trainer_garbage_removed_total", "embedding").await? == 140.0, "it is counted");
    let before = segments(&pair);
    let waiting = collect(&pair.trainer, true).await?;
    ensure!(waiting.waiting_file_count > 0 && waiting.embedding_count == 0, "files wait: {waiting:?}");

    // Nobody writes or reads when a trainer starts alone: what waits goes at once.
    pair.trainer.restart().await?;
    ensure!(segments(&pair) < before, "{} of {before} files are left", segments(&pair));
    ensure!(collect(&pair.trainer, true).await? == CollectGarbageResponse::default(), "nothing is left to do");
    train(&pair.trainer, "kept").await.context("what is needed is there")?;
    create_dataset(&pair.trainer, "gone").await?;
    let embedded = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    import(&pair.trainer, "gone", examples(&rows[..200], Split::Unspecified, 0)).await?;
    let again = pair.extractor.metric("graft_extractor_images_total", "embedded").await? - embedded;
    ensure!(again == 140.0, "what was collected is embedded again, and nothing else: {again}");
    train(&pair.trainer, "gone").await?;
    Ok(())
}

#[tokio::test]
async fn imports_and_runs_go_on_while_garbage_is_collected() -> Result<()> {
    let pair = Pair::start().await?;
    let (trainer, rows) = (&pair.trainer, fashion::train()?);
    create_dataset(trainer, "base").await?;
    import(trainer, "base", examples(&rows[..100], Split::Unspecified, 0)).await?;
    let collecting = async {
        let (mut removed, mut client) = (0, trainer.maintenance_client().await?);
        loop {
            removed += client.collect_garbage(CollectGarbageRequest::default()).await?.into_inner().embedding_count;
            if removed > 400 {
                return anyhow::Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let working = async {
        let mut datasets = trainer.dataset_client().await?;
        for round in 0.. {
            create_dataset(trainer, "passing").await?;
            let all = examples(&rows[..200], Split::Unspecified, 0);
            let outcomes = import(trainer, "passing", all).await?;
            ensure!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{round}: {outcomes:?}");
            train(trainer, "passing").await.with_context(|| format!("round {round}"))?;
            datasets.delete_dataset(DeleteDatasetRequest { name: "passing".into() }).await?;
            trainer.head_client().await?.delete_head(DeleteHeadRequest { name: "passing".into() }).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        collected = collecting => collected?,
        worked = working => worked?,
    }
    train(trainer, "base").await?;
    Ok(())
}
