//! `graft gc`: remove what nothing refers to any more.

use anyhow::Result;
use clap::Args;
use graft_client::{
    Graft,
    proto::{CollectGarbageRequest, CollectGarbageResponse},
};
use serde_json::json;

use crate::{
    Done,
    output::{Output, table},
};

/// Remove what nothing refers to any more: snapshots, embeddings and files of what was deleted.
///
/// The trainer does so by itself every hour. A file goes an hour after it was first found to be needed by nothing.
#[derive(Args)]
pub struct Gc {
    /// Only tell what would be removed.
    #[arg(long)]
    dry_run: bool,
}

impl Gc {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let request = CollectGarbageRequest { dry_run: self.dry_run };
        let answer = graft.trainer.maintenance().collect_garbage(request).await;
        let found = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let json = || {
            json!({
                "dry_run": self.dry_run, "snapshots": found.snapshot_count, "embeddings": found.embedding_count,
                "embedding_bytes": found.embedding_bytes, "segments": found.segment_count,
                "rewritten_segments": found.rewritten_segment_count, "corrections": found.correction_count,
                "files": found.file_count, "file_bytes": found.file_bytes,
                "waiting_files": found.waiting_file_count, "waiting_file_bytes": found.waiting_file_bytes,
            })
        };
        output.show(|| text(&found, self.dry_run), json)?;
        Ok(Done::All)
    }
}

fn text(found: &CollectGarbageResponse, dry_run: bool) -> String {
    let bytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let row = |what: &str, count: u64, size: String| vec![what.to_owned(), count.to_string(), size];
    let rows = [
        row("snapshots", found.snapshot_count, String::new()),
        row("embeddings", found.embedding_count, bytes(found.embedding_bytes)),
        row("segments", found.segment_count, String::new()),
        row("segments written anew", found.rewritten_segment_count, String::new()),
        row("corrections", found.correction_count, String::new()),
        row("files", found.file_count, bytes(found.file_bytes)),
        row("files that wait", found.waiting_file_count, bytes(found.waiting_file_bytes)),
    ];
    table(&[if dry_run { "would be removed" } else { "removed" }, "count", "size"], &rows)
}
