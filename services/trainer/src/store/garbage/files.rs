//! Files that no row counts.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::Collected;
use crate::{
    error::StoreError,
    store::{Store, sql},
};

/// Files without a row that are remembered, at the most; more are noticed when these are gone.
const MOST_ORPHANS: usize = 1 << 20;

/// The files that were found without a row, and since when they have been so.
#[derive(Debug, Default)]
pub struct Orphans(HashMap<String, Instant>);

/// The bytes of a row of each segment.
#[derive(Debug, Default)]
pub struct Sizes(HashMap<String, u64>);

impl Sizes {
    /// The bytes of a row of a segment; 0 if its file was not there.
    pub fn row(&self, segment: &str) -> u64 {
        self.0.get(segment).copied().unwrap_or_default()
    }
}

impl Store {
    /// Remove the files that have been without a row for `grace`. Gives back how large the rows of segments are.
    pub(super) async fn collect_files(
        &self,
        orphans: &mut Orphans,
        grace: Duration,
        dry_run: bool,
        to: &mut Collected,
    ) -> Result<Sizes, StoreError> {
        let (mut sizes, mut seen, now) = (Sizes::default(), HashMap::new(), Instant::now());
        for kind in ["segments", "heads", "snapshots"] {
            // In this order: what is counted between the two is not removed.
            let files = self.files.list(kind).await?;
            let counted = self.counted(kind).await?;
            if kind == "segments" {
                sizes = self.row_sizes(&files).await?;
            }
            let mut due = Vec::new();
            for (file, bytes) in files.into_iter().filter(|(file, _)| !counted.contains(file)) {
                let since = orphans.0.get(&file).copied().unwrap_or(now);
                if now.duration_since(since) >= grace {
                    to.files += 1;
                    to.file_bytes += bytes;
                    due.push(file.clone());
                } else {
                    to.waiting_files += 1;
                    to.waiting_bytes += bytes;
                }
                if seen.len() < MOST_ORPHANS {
                    seen.insert(file, since);
                }
            }
            if !dry_run {
                for file in &due {
                    seen.remove(file);
                }
                self.files.remove(due, &HashSet::new()).await?;
            }
        }
        orphans.0 = seen;
        Ok(sizes)
    }

    async fn row_sizes(&self, files: &[(String, u64)]) -> Result<Sizes, StoreError> {
        let bytes: HashMap<&str, u64> = files.iter().map(|(file, bytes)| (file.as_str(), *bytes)).collect();
        let rows = sql::query("SELECT id, rows FROM segments").fetch_all(&self.sql).await?;
        let mut sizes = HashMap::with_capacity(rows.len());
        for row in rows {
            let (id, rows): (String, i64) = (row.try_get("id")?, row.try_get("rows")?);
            let file = crate::store::segments::file(&id);
            let bytes = bytes.get(file.as_str()).copied().unwrap_or_default();
            sizes.insert(id, bytes / rows.max(1) as u64);
        }
        Ok(Sizes(sizes))
    }
}
