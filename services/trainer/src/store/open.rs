//! Opens the state, and brings it up to date.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

use super::{
    Store,
    files::{Files, ORPHANED},
    location::{DatabaseUrl, Location},
    retry::{PATIENCE, patiently},
    sql::{self, Pool},
};
use crate::error::StoreError;

/// Connections to SQLite's file: readers do not wait for the writer.
const CONNECTIONS: u32 = 8;
/// Pages of 4 KiB that are written to SQLite's log before they are put in their places. Rows of examples lie everywhere, by their
/// hashes: the more of them come together, the fewer pages are written twice.
const LOG_PAGES: &str = "16384";
/// Pages of 4 KiB that each connection to SQLite keeps in memory, at the most; and the one that writes, which comes by most of them
/// again and again.
const CACHE_PAGES: &str = "8192";
const WRITER_CACHE_PAGES: &str = "16384";
/// Connections to PostgreSQL, each a process there.
const SERVER_CONNECTIONS: u32 = 16;
/// How long a writer of SQLite waits for another.
const BUSY: Duration = Duration::from_secs(30);

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or written.
    #[error("data-dir: {path} cannot be written: {source}; choose another, or change its owner or permissions")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another trainer has the directory.
    #[error("data-dir: {path} is used by another trainer; stop that one, or choose another directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// What is in the directory cannot be read.
    #[error("data-dir: {path} cannot be used: {source}; restore it from a backup, or choose another")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The server cannot be reached, or does not let us in.
    #[error("database-url: {url} cannot be used: {source}")]
    Database {
        /// The database, without a password.
        url: String,
        /// Why.
        source: StoreError,
    },
    /// The bucket cannot be reached, or does not let us in.
    #[error("artifacts: {url} cannot be used: {source}")]
    Bucket {
        /// The bucket.
        url: String,
        /// Why.
        source: StoreError,
    },
    /// Another database's files are in the bucket.
    #[error(
        "artifacts: {url} belongs to another database ({owner}; this one is {id}); choose another prefix, or the \
         database that it belongs to"
    )]
    Foreign {
        /// The bucket.
        url: String,
        /// The id of that database.
        owner: String,
        /// The id of this one.
        id: String,
    },
    /// A shared database, and a directory that replicas elsewhere do not see.
    #[error(
        "artifacts: with a database-url they must be in a bucket, which all trainers of the database share; give s3://BUCKET/PREFIX"
    )]
    NotShared,
}

impl OpenError {
    /// Whether another configuration would help, and not merely another time.
    pub fn is_bad_configuration(&self) -> bool {
        match self {
            OpenError::Database { source, .. } | OpenError::Bucket { source, .. } => !source.is_passing(),
            _ => true,
        }
    }
}

impl Store {
    /// Open the state in the directory `folder`, which is made if it is not there, and bring it up to date.
    pub async fn open(folder: &Path) -> Result<Store, OpenError> {
        Store::open_at(&folder.into()).await
    }

    /// Open the state, and bring it up to date.
    pub async fn open_at(location: &Location) -> Result<Store, OpenError> {
        if location.database.is_some() && location.bucket.is_none() {
            return Err(OpenError::NotShared);
        }
        let folder = &location.folder;
        let unusable = |source: StoreError| OpenError::Unusable { path: folder.clone(), source };
        let (sql, lock) = match &location.database {
            Some(url) => {
                let failed = |source| OpenError::Database { url: url.to_string(), source };
                (connect(url).await.map_err(failed)?, None)
            }
            None => {
                let lock = lock(folder)?;
                (open_file(folder).await.map_err(unusable)?, Some(Arc::new(lock)))
            }
        };
        let Some(bucket) = &location.bucket else {
            let files = Files::in_folder(folder).map_err(unusable)?;
            let store = Store { sql, files, lock, head_changes: Arc::default() };
            store.clean(&["segments", "heads", "snapshots"], Duration::ZERO).await.map_err(unusable)?;
            return Ok(store);
        };
        let url = bucket.url.url().to_string();
        let failed = |source| OpenError::Bucket { url: url.clone(), source };
        let files = Files::in_bucket(bucket).map_err(failed)?;
        let store = Store { sql, files, lock, head_changes: Arc::default() };
        let id = store.identity().await.map_err(failed)?;
        let owner = store.files.claim(&id).await.map_err(failed)?;
        if owner != id {
            return Err(OpenError::Foreign { url, owner, id });
        }
        store.clean(&["segments", "heads", "snapshots"], ORPHANED).await.map_err(failed)?;
        Ok(store)
    }

    /// Remove the files that no row counts: a crash came between file and row. Those of a bucket must be older than `age`.
    pub(super) async fn clean(&self, kinds: &[&str], age: Duration) -> Result<(), StoreError> {
        for kind in kinds {
            // In this order: what is counted between the two is not removed.
            let candidates = self.files.candidates(kind, age).await?;
            self.files.remove(candidates, &self.counted(kind).await?).await?;
            self.files.remove_unfinished(kind);
        }
        Ok(())
    }

    /// Every file of a kind that a row counts.
    pub(super) async fn counted(&self, kind: &str) -> Result<HashSet<String>, StoreError> {
        match kind {
            "segments" => self.segment_files().await,
            "heads" => self.head_files().await,
            _ => self.snapshot_files().await,
        }
    }

    /// The id of the database, given once.
    async fn identity(&self) -> Result<String, StoreError> {
        sql::query("INSERT INTO identity (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING")
            .bind(Uuid::now_v7().to_string())
            .execute(&self.sql)
            .await?;
        Ok(sql::query_scalar("SELECT id FROM identity").fetch_one(&self.sql).await?)
    }
}

async fn open_file(folder: &Path) -> Result<Pool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("graft.db"))
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("cache_size", CACHE_PAGES)
        // Else each statement that may fail notes on the disk what it changes.
        .pragma("temp_store", "memory");
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(BUSY)
        .after_release(|connection, _| Box::pin(has_ended(connection)))
        .connect_with(options.clone().pragma("cache_size", WRITER_CACHE_PAGES))
        .await?;
    sqlx::migrate!("migrations/sqlite").run(&writer).await?;
    let readers = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
    Ok(Pool::Sqlite(readers, writer))
}

/// Whether the last transaction of a connection has ended, so that it can begin another. Where the disk is full SQLite ends one
/// by itself, which sqlx does not see: it asks to roll back what is no more, and takes that for a failure. Such a connection is
/// replaced.
async fn has_ended(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Behind the roll back.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

async fn connect(url: &DatabaseUrl) -> Result<Pool, StoreError> {
    let options = url.options().application_name("graft-trainer");
    // A pool would say that it waited too long, and not for what.
    patiently!(PATIENCE, try_connection(&options))?;
    let pool = PgPoolOptions::new().max_connections(SERVER_CONNECTIONS).acquire_timeout(PATIENCE);
    let sql = pool.connect_with(options).await?;
    // Under an advisory lock, so that of many replicas that start at once one migrates, and the others find it done.
    sqlx::migrate!("migrations/postgres").run(&sql).await?;
    Ok(Pool::Postgres(sql))
}

async fn try_connection(options: &PgConnectOptions) -> Result<(), StoreError> {
    Ok(options.connect().await?.close().await?)
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
