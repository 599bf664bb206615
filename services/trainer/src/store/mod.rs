//! State: facts in SQLite, immutable artifacts in files.
//!
//! A file is written first and counted by a row afterwards, in one transaction with all that depends on it. What has no
//! row does not count, and is removed at the next start.
//!
//! # Layout
//! - [`datasets`]: datasets. [`examples`]: their examples; [`appearances`]: other times that an image came.
//! - [`snapshots`]: datasets as they were at one moment.
//! - [`segments`]: files of embeddings; `places`: which embedding is where; [`views`]: further views of images.
//! - [`runs`]: training runs.
//! - [`heads`]: versions of heads.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath};
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::StoreError;

pub mod appearances;
pub mod datasets;
pub mod examples;
pub mod heads;
mod places;
pub mod runs;
pub mod segments;
pub mod snapshots;
pub mod views;

/// Connections to the database: readers do not wait for the writer.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(30);

/// The state of one trainer.
#[derive(Clone, Debug)]
pub struct Store {
    sql: SqlitePool,
    files: Arc<dyn ObjectStore>,
    /// Held for as long as the process lives: one trainer a directory.
    _lock: Arc<File>,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made or written.
    #[error("data-dir: {path} cannot be written: {source}; choose another, or change its owner or permissions")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another trainer has it.
    #[error("data-dir: {path} is used by another trainer; stop that one, or choose another directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// What is in it cannot be read.
    #[error("data-dir: {path} cannot be used: {source}; restore it from a backup, or choose another")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

impl Store {
    /// Open the state in `folder`, which is made if it is not there, and bring it up to date.
    pub async fn open(folder: &Path) -> Result<Store, OpenError> {
        let lock = lock(folder)?;
        Store::open_locked(folder, lock).await.map_err(|source| OpenError::Unusable { path: folder.to_owned(), source })
    }

    async fn open_locked(folder: &Path, lock: File) -> Result<Store, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("graft.db"))
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let sql = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        sqlx::migrate!().run(&sql).await?;
        // A row may count a file only once the file is as durable as the row will be.
        let files = Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true));
        let store = Store { sql, files, _lock: Arc::new(lock) };
        let counted = [
            ("segments", store.segment_files().await?),
            ("heads", store.head_files().await?),
            ("snapshots", store.snapshot_files().await?),
        ];
        for (kind, counted) in counted {
            store.remove_orphans(kind, &counted).await?;
            remove_unfinished(&folder.join(kind));
        }
        Ok(store)
    }

    /// A transaction that writes: it waits for other writers at once, not in its middle.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.sql.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn put(&self, file: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.files.put(&ObjectPath::from(file), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// Read a file and check that it is what was written.
    async fn get(&self, file: &str, checksum: &[u8]) -> Result<Bytes, StoreError> {
        let damaged = |reason: &str| StoreError::Damaged { file: file.to_owned(), reason: reason.to_owned() };
        let bytes = match self.files.get(&ObjectPath::from(file)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Err(damaged("the file is missing")),
            Err(error) => return Err(error.into()),
        };
        if blake3::hash(&bytes).as_bytes() != checksum {
            return Err(damaged("its checksum is not that of what was written"));
        }
        Ok(bytes)
    }

    /// Remove the files of `folder` that no row counts: a crash came between file and row.
    async fn remove_orphans(&self, folder: &str, counted: &HashSet<String>) -> Result<(), StoreError> {
        let found: Vec<_> = self.files.list(Some(&ObjectPath::from(folder))).try_collect().await?;
        for file in found.into_iter().filter(|file| !counted.contains(file.location.as_ref())) {
            tracing::info!(file = %file.location, "removing what an interrupted write left");
            self.files.delete(&file.location).await?;
        }
        Ok(())
    }
}

/// Remove what a crash left of files that were being written. The object store stages them as `NAME#N`, and does not list
/// those.
fn remove_unfinished(folder: &Path) {
    // The folder is made with its first file.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let staged = path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'#'));
        if staged && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an unfinished file cannot be removed");
        }
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let not_writable = |source| OpenError::NotWritable { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(not_writable)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
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
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn one_trainer_a_directory_and_orphans_are_removed() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        assert!(matches!(Store::open(folder.path()).await, Err(OpenError::Locked { .. })));
        store.put("segments/orphan.safetensors", vec![1]).await.unwrap();
        fs::write(folder.path().join("segments/half.safetensors#1"), [1]).unwrap();
        drop(store);
        Store::open(folder.path()).await.unwrap();
        assert_eq!(fs::read_dir(folder.path().join("segments")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_an_earlier_version_stored_is_still_there() {
        let folder = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("graft.db")).create_if_missing(true);
        let sql = SqlitePool::connect_with(options).await.unwrap();
        let mut first = sqlx::migrate!();
        first.migrations = first.migrations.iter().take(1).cloned().collect::<Vec<_>>().into();
        first.run(&sql).await.unwrap();
        for statement in [
            "INSERT INTO datasets VALUES (1, 'default', 'pets', 'net', 'net@0', 3, 0)",
            "INSERT INTO examples VALUES (1, 'default', zeroblob(32), 'cat', 2)",
        ] {
            sqlx::query(statement).execute(&sql).await.unwrap();
        }
        sql.close().await;

        let store = Store::open(folder.path()).await.unwrap();
        let name = crate::names::Name::parse("name", "pets").unwrap();
        let dataset = store.dataset(&crate::names::Tenant::default(), &name).await.unwrap().unwrap();
        assert!(!dataset.multi_label);
        let [example] = &store.examples(dataset.id).await.unwrap()[..] else { panic!() };
        assert_eq!((&example.labels[..], example.id.as_str()), (&["cat".to_owned()][..], ""));
        assert_eq!(example.split, graft_proto::v1::Split::Validation);
        let described = store.describe(dataset).await.unwrap();
        assert_eq!((described.example_count, described.classes[0].validation), (1, 1));
    }

    #[tokio::test]
    async fn a_flipped_bit_is_named() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.put("heads/a", vec![1, 2, 3]).await.unwrap();
        let checksum = blake3::hash(&[1, 2, 3]);
        assert_eq!(store.get("heads/a", checksum.as_bytes()).await.unwrap(), vec![1, 2, 3]);
        fs::write(folder.path().join("heads/a"), [1, 2, 2]).unwrap();
        let error = store.get("heads/a", checksum.as_bytes()).await.unwrap_err().to_string();
        assert!(error.contains("heads/a") && error.contains("checksum"), "{error}");
        assert!(store.get("heads/b", checksum.as_bytes()).await.unwrap_err().to_string().contains("missing"));
    }
}
