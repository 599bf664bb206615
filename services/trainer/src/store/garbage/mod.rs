//! Garbage: what nothing refers to any more is removed.
//!
//! # What refers to what
//! - An example of a dataset refers to the embedding of its image in the dataset's space, and to those of its views. A snapshot
//!   refers to those of all its images.
//! - A dataset refers to its snapshots, a version of a head to the one that it was fitted on, and a run that waits or is fitted
//!   to all snapshots of its dataset's name.
//! - A segment is referred to by the embeddings that are in it. Rows refer to files.
//!
//! # Why nothing is removed that is needed
//! Any number of trainers collect, import, train and delete at once, and no lock is held while a collection looks around. So what
//! it found may have changed when it removes, and each removal is on condition that it has not:
//!
//! - **Embeddings.** A candidate is read with its `uses` and its segment, and has no example a moment later. Whoever adds an
//!   example raises `uses` in the transaction that adds it (`add.rs`), which waits for a removal of the same row, and a removal
//!   for it; it embeds anew what is gone by then. The removal asks that `uses` and segment are as they were: so no example was
//!   added since, whatever was removed again. (The segment tells a row that was collected by another and embedded anew.)
//! - **Embeddings of snapshots.** The snapshots are read after the candidates. One that is not seen is counted later than that,
//!   in a transaction that keeps the dataset from changing and finds all its images in it: so an image that was a candidate
//!   was added in between, and its `uses` are others.
//! - **Views** go with the embedding of their image, in the same transaction; an import counts a use of that before it looks at
//!   views, and embeds an image with its views or not at all.
//! - **Snapshots.** A candidate has no dataset of its name and no run on it that has not ended; the heads are read afterwards. The
//!   removal asks again for the dataset, and that there are no more runs on it than before: so none was created that could
//!   have ended in a head since. A snapshot that is made again at this moment has a dataset.
//! - **Segments.** Rows of embeddings come with their own segment in one transaction, and are moved to a new one in one; so a
//!   segment that is empty stays so. Rewriting moves a row only if it is still where it was read.
//! - **Files** are written first and counted by a row afterwards, and are never written again. One that no row counts is removed
//!   when it has been so for [`GRACE`] by this process's monotonic clock: every step of a write gives up long before, and so
//!   has whoever read a row and not yet its file.
//!
//! # Layout
//! - [`snapshots`], [`embeddings`], [`segments`], [`files`] collect one kind each.

use std::time::Duration;

use super::{Store, sql};
use crate::error::StoreError;

pub mod embeddings;
pub mod files;
pub mod segments;
pub mod snapshots;

use files::Orphans;

/// How long a file must have been without a row before it is removed.
pub const GRACE: Duration = Duration::from_secs(3600);

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Snapshots.
    pub snapshots: u64,
    /// Embeddings of images and of views.
    pub embeddings: u64,
    /// Their bytes.
    pub embedding_bytes: u64,
    /// Segments of which nothing was needed.
    pub segments: u64,
    /// Segments of which less than half was needed, and was moved to new ones.
    pub rewritten: u64,
    /// Corrections of heads that are not there any more.
    pub corrections: u64,
    /// Files that were removed.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Files that no row counts, and that are not removed yet.
    pub waiting_files: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

impl Store {
    /// Remove what nothing refers to, of all tenants; only tell it, if `dry_run`. `orphans` are the files that earlier
    /// collections of this process found without a row; those that have been so for `grace` are removed.
    ///
    /// # Errors
    /// What was removed before stays removed; the next collection goes on.
    pub async fn collect(
        &self,
        orphans: &mut Orphans,
        grace: Duration,
        dry_run: bool,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        // First: a file whose row goes now has its whole grace before it.
        let sizes = self.collect_files(orphans, grace, dry_run, &mut collected).await?;
        self.collect_snapshots(dry_run, &mut collected).await?;
        let gone = self.collect_embeddings(&sizes, dry_run, &mut collected).await?;
        self.collect_segments(&gone, dry_run, &mut collected).await?;
        collected.corrections = self.collect_corrections(dry_run).await?;
        Ok(collected)
    }

    async fn collect_corrections(&self, dry_run: bool) -> Result<u64, StoreError> {
        const ORPHANED: &str = "FROM corrections WHERE NOT EXISTS (SELECT 1 FROM heads h
             WHERE h.tenant = corrections.tenant AND h.name = corrections.head AND h.version = corrections.version)";
        if dry_run {
            let text = format!("SELECT COUNT(*) {ORPHANED}");
            let count: i64 = sql::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&self.sql).await?;
            return Ok(count.max(0) as u64);
        }
        let text = format!("DELETE {ORPHANED}");
        Ok(sql::query(sqlx::AssertSqlSafe(text)).execute(&self.sql).await?.rows_affected())
    }
}
