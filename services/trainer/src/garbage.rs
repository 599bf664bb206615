//! Collects garbage from time to time, and when it is told to; one collection after the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::{counter, histogram};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    error::StoreError,
    store::{
        Store,
        garbage::{Collected, GRACE, files::Orphans},
    },
};

/// Collects the garbage of one store.
#[derive(Clone, Debug)]
pub struct Garbage {
    store: Store,
    /// What earlier collections noticed; held by the one that is under way.
    orphans: Arc<Mutex<Orphans>>,
}

impl Garbage {
    /// Of `store`, when it is told to.
    pub fn new(store: Store) -> Garbage {
        Garbage { store, orphans: Arc::default() }
    }

    /// Also each time that `every` has passed, until `stop` says to stop. The store is let go then.
    pub fn every(&self, every: Duration, stop: CancellationToken) {
        let garbage = self.clone();
        tokio::spawn(async move {
            let repeat = async {
                loop {
                    sleep(every).await;
                    // It has said why; the next one goes on where this one failed.
                    let _ = garbage.collect(false).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = repeat => {}
            }
        });
    }

    /// Remove what nothing refers to, or only tell it. `None` if another collection is under way.
    ///
    /// # Errors
    /// What was removed before stays removed.
    pub async fn collect(&self, dry_run: bool) -> Result<Option<Collected>, StoreError> {
        let Ok(mut orphans) = self.orphans.try_lock() else { return Ok(None) };
        let begun = Instant::now();
        let collected = self.store.collect(&mut orphans, GRACE, dry_run).await;
        if dry_run {
            return collected.map(Some);
        }
        let outcome = if collected.is_ok() { "done" } else { "failed" };
        counter!("graft_trainer_garbage_collections_total", "outcome" => outcome).increment(1);
        histogram!("graft_trainer_garbage_collection_seconds").record(begun.elapsed().as_secs_f64());
        match &collected {
            Ok(collected) => {
                count(collected);
                tracing::info!(?collected, "garbage collected");
            }
            Err(error) => tracing::warn!(%error, "garbage could not be collected; the next collection goes on"),
        }
        collected.map(Some)
    }
}

fn count(collected: &Collected) {
    for (kind, removed) in [
        ("snapshot", collected.snapshots),
        ("embedding", collected.embeddings),
        ("segment", collected.segments + collected.rewritten),
        ("correction", collected.corrections),
        ("file", collected.files),
    ] {
        counter!("graft_trainer_garbage_removed_total", "kind" => kind).increment(removed);
    }
    counter!("graft_trainer_garbage_removed_bytes_total").increment(collected.file_bytes);
}
