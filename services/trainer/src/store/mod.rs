//! State: facts in SQL, immutable artifacts in files.
//!
//! On one machine, SQLite and a directory, which one trainer has for itself. On a cluster, PostgreSQL and a bucket, which any
//! number of trainers share.
//!
//! A file is written first and counted by a row afterwards, in one transaction with all that depends on it. What has no
//! row does not count, and is removed at a later start.
//!
//! # Layout
//! - [`location`] says where; `open` opens it. [`sql`]: one set of queries for both databases. [`files`]: a directory or a
//!   bucket. [`retry`]: patience with both.
//! - [`datasets`]: datasets. [`examples`]: their examples; [`edits`]: relabelled and removed; [`appearances`]: other times that an
//!   image came. [`corrections`]: where heads were wrong.
//! - [`snapshots`]: datasets as they were at one moment.
//! - [`segments`]: files of embeddings; `places`: which embedding is where; [`shelves`]: embeddings a segment at a time;
//!   [`views`]: further views of images; [`add`] adds
//!   examples with all of them.
//! - [`garbage`]: what nothing refers to any more.
//! - [`runs`]: training runs; [`leases`]: which replica fits them.
//! - [`heads`]: versions of heads. [`aliases`]: names for them that can be moved, and the history of the moves. [`serving`]: what
//!   serving asks of them.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use self::{
    files::Files,
    sql::{Pool, Transaction},
};
use crate::error::StoreError;

pub mod add;
pub mod aliases;
pub mod appearances;
pub mod corrections;
pub mod datasets;
pub mod edits;
pub mod examples;
pub mod files;
pub mod garbage;
pub mod heads;
pub mod leases;
pub mod location;
mod open;
#[cfg(test)]
#[path = "../../tests/api/place/mod.rs"]
pub(crate) mod place;
mod places;
pub mod retry;
pub mod runs;
pub mod segments;
pub mod serving;
pub mod shelves;
pub mod snapshots;
pub mod sql;
pub mod views;

pub use self::{location::Location, open::OpenError};

/// The state of one trainer, or of several.
#[derive(Clone, Debug)]
pub struct Store {
    sql: Pool,
    files: Files,
    /// Held for as long as the process lives: one trainer a directory. A database that is shared needs none.
    lock: Option<Arc<File>>,
    /// How often heads were changed through this store: what was read of them before may be old.
    head_changes: Arc<AtomicU64>,
}

impl Store {
    /// Whether other trainers may use it too.
    pub fn is_shared(&self) -> bool {
        self.lock.is_none()
    }

    /// A number that is another after each change of heads by this process.
    pub fn head_changes(&self) -> u64 {
        self.head_changes.load(Ordering::Acquire)
    }

    /// Heads were registered or deleted, or aliases moved.
    fn heads_changed(&self) {
        self.head_changes.fetch_add(1, Ordering::Release);
    }

    /// A transaction that writes.
    async fn write(&self) -> Result<Transaction, StoreError> {
        Ok(self.sql.begin().await?)
    }

    /// A transaction that writes to a dataset. Of several, one goes on and the others wait here, so that what one reads stays
    /// so until it ends. `None` if the dataset was deleted.
    async fn write_to(&self, dataset: i64) -> Result<Option<Transaction>, StoreError> {
        let mut write = self.write().await?;
        let text = format!("SELECT id FROM datasets WHERE id = ?{}", self.sql.for_update());
        let there = sql::query(sqlx::AssertSqlSafe(text)).bind(dataset).fetch_optional(&mut *write).await?;
        Ok(there.map(|_| write))
    }

    async fn put(&self, file: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.files.put(file, bytes).await
    }

    /// Read a file and check that it is what was written.
    async fn get(&self, file: &str, checksum: &[u8]) -> Result<Bytes, StoreError> {
        self.files.get(file, checksum).await
    }
}

/// Now, in milliseconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Milliseconds since 1970 as the API tells them.
pub fn timestamp(millis: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: millis.div_euclid(1000), nanos: (millis.rem_euclid(1000) * 1_000_000) as i32 }
}

#[cfg(test)]
mod tests;
