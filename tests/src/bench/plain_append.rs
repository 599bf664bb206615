//! What storing embeddings takes at least: their bytes appended to one file, their rows inserted in one transaction.

use std::{fs::File, io::Write, path::Path};

use anyhow::Result;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// Rows inserted by one statement.
const ROWS_AT_ONCE: usize = 256;

/// The tables that the trainer has for it.
const TABLES: &str = "
    CREATE TABLE embeddings (tenant TEXT NOT NULL, space TEXT NOT NULL, hash BLOB NOT NULL, segment TEXT NOT NULL,
        row INTEGER NOT NULL, PRIMARY KEY (tenant, space, hash)) WITHOUT ROWID;
    CREATE TABLE examples (dataset INTEGER NOT NULL, tenant TEXT NOT NULL, hash BLOB NOT NULL, id TEXT NOT NULL,
        split INTEGER NOT NULL, PRIMARY KEY (dataset, hash)) WITHOUT ROWID;
    CREATE INDEX examples_by_id ON examples (dataset, id);
    CREATE TABLE example_labels (dataset INTEGER NOT NULL, tenant TEXT NOT NULL, hash BLOB NOT NULL,
        label TEXT NOT NULL, PRIMARY KEY (dataset, hash, label)) WITHOUT ROWID;";

/// What is appended.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The hash, the id and the label of each row.
    pub facts: &'a [(Vec<u8>, String, String)],
    /// Their embeddings, packed.
    pub embeddings: &'a [&'a [u8]],
    /// Their space.
    pub space: &'a str,
}

/// Append all of it to new files in `folder`, and return when it is on disk.
pub async fn append(folder: &Path, rows: Rows<'_>) -> Result<()> {
    let mut file = File::create(folder.join("embeddings"))?;
    for row in rows.embeddings {
        file.write_all(row)?;
    }
    file.sync_all()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.join("rows.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut sql = options.connect().await?;
    sqlx::raw_sql(TABLES).execute(&mut sql).await?;
    let mut write = sql.begin_with("BEGIN IMMEDIATE").await?;
    for (chunk, facts) in rows.facts.chunks(ROWS_AT_ONCE).enumerate() {
        let values = |row: &str| vec![row; facts.len()].join(", ");
        let insert = format!("INSERT INTO embeddings VALUES {}", values("('default', ?, ?, 'segment', ?)"));
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for (row, (hash, ..)) in facts.iter().enumerate() {
            query = query.bind(rows.space).bind(hash).bind((chunk * ROWS_AT_ONCE + row) as i64);
        }
        query.execute(&mut *write).await?;
        let insert = format!("INSERT INTO examples VALUES {}", values("(1, 'default', ?, ?, 1)"));
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for (hash, id, _) in facts {
            query = query.bind(hash).bind(id);
        }
        query.execute(&mut *write).await?;
        let insert = format!("INSERT INTO example_labels VALUES {}", values("(1, 'default', ?, ?)"));
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for (hash, _, label) in facts {
            query = query.bind(hash).bind(label);
        }
        query.execute(&mut *write).await?;
    }
    write.commit().await?;
    Ok(sql.close().await?)
}
