//! The examples of datasets: read, relabelled, removed.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::Split;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{Store, datasets::DatasetRow, segments::push_hashes};
use crate::{
    content::ContentHash,
    error::StoreError,
    names::{MOST_LABELS, Tenant},
};

/// An example without its embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRow {
    /// The image.
    pub hash: ContentHash,
    /// The id that it was first imported under; empty if none is known.
    pub id: String,
    /// Its labels, sorted: exactly one unless the dataset is multi-label.
    pub labels: Vec<String>,
    /// What it is used for.
    pub split: Split,
}

/// What a dataset knows of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The id that it was first imported under.
    pub id: String,
    /// Its labels, sorted.
    pub labels: Vec<String>,
    /// Whether it came at other times.
    pub has_appearances: bool,
}

/// Which example is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// All of this id.
    Id(String),
    /// The one of this content.
    Hash(ContentHash),
}

/// Why nothing was done to an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// There is none.
    Unknown,
    /// This label would be one too many.
    TooManyLabels(String),
}

const ROWS: &str = "SELECT e.hash AS hash, e.id AS id, e.split AS split, l.label AS label FROM examples e
     LEFT JOIN example_labels l ON l.dataset = e.dataset AND l.hash = e.hash";

impl Store {
    /// Every label of a dataset.
    pub async fn all_labels(&self, dataset: i64) -> Result<HashSet<String>, StoreError> {
        all_labels(&mut *self.sql.acquire().await?, dataset).await
    }

    /// What a dataset knows of those of these images that it has. Ask for a few hundred at once, at the most.
    pub async fn known(&self, dataset: i64, hashes: &[ContentHash]) -> Result<HashMap<ContentHash, Known>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT e.hash AS hash, e.id AS id, l.label AS label, EXISTS (
                 SELECT 1 FROM appearances a WHERE a.dataset = e.dataset AND a.hash = e.hash) AS again
             FROM examples e LEFT JOIN example_labels l ON l.dataset = e.dataset AND l.hash = e.hash WHERE e.dataset = ",
        );
        query.push_bind(dataset);
        push_hashes(&mut query, "e.hash", hashes);
        query.push(" ORDER BY e.hash, l.label");
        let mut known: HashMap<ContentHash, Known> = HashMap::new();
        for row in query.build().persistent(false).fetch_all(&self.sql).await? {
            let entry = known.entry(hash_of(&row)?).or_insert(Known {
                id: row.try_get("id")?,
                labels: Vec::new(),
                has_appearances: row.try_get("again")?,
            });
            entry.labels.extend(row.try_get::<Option<String>, _>("label")?);
        }
        Ok(known)
    }

    /// The splits of those of these images that were in the dataset once. Ask for a few hundred at once, at the most.
    pub async fn former_splits(
        &self,
        dataset: i64,
        hashes: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Split>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT hash, split FROM removed_examples WHERE dataset = ");
        query.push_bind(dataset);
        push_hashes(&mut query, "hash", hashes);
        let rows = query.build().persistent(false).fetch_all(&self.sql).await?;
        rows.iter().map(|row| Ok((hash_of(row)?, split_of(row)?))).collect()
    }

    /// Every example of a dataset, in the order of the hashes.
    pub async fn examples(&self, dataset: i64) -> Result<Vec<ExampleRow>, StoreError> {
        let sql = format!("{ROWS} WHERE e.dataset = ? ORDER BY e.hash, l.label");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(dataset).fetch_all(&self.sql).await?;
        gather(&rows)
    }

    /// These examples, in the order of the hashes. Ask for a few hundred at once, at the most.
    pub async fn some_examples(&self, dataset: i64, hashes: &[ContentHash]) -> Result<Vec<ExampleRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(ROWS);
        query.push(" WHERE e.dataset = ").push_bind(dataset);
        push_hashes(&mut query, "e.hash", hashes);
        query.push(" ORDER BY e.hash, l.label");
        gather(&query.build().persistent(false).fetch_all(&self.sql).await?)
    }

    /// Give examples other labels, all at once; for each entry, how many it was done to, or why to none. What conflicts they
    /// had are settled by it. `None` if the dataset was deleted.
    pub async fn relabel(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        entries: &[(Key, Vec<String>)],
    ) -> Result<Vec<Result<u32, Undone>>, StoreError> {
        let mut write = self.write().await?;
        let mut all = all_labels(&mut write, dataset.id).await?;
        let mut done = Vec::with_capacity(entries.len());
        for (key, labels) in entries {
            let hashes = find(&mut write, dataset.id, key).await?;
            if hashes.is_empty() {
                done.push(Err(Undone::Unknown));
                continue;
            }
            let new: Vec<&String> = labels.iter().filter(|label| !all.contains(*label)).collect();
            if let Some(label) = new.first().filter(|_| all.len() + new.len() > MOST_LABELS) {
                done.push(Err(Undone::TooManyLabels((*label).clone())));
                continue;
            }
            all.extend(labels.iter().cloned());
            for hash in &hashes {
                sqlx::query("DELETE FROM example_labels WHERE dataset = ? AND hash = ?")
                    .bind(dataset.id)
                    .bind(&hash.as_bytes()[..])
                    .execute(&mut *write)
                    .await?;
                insert_labels(&mut write, tenant, dataset.id, hash, labels).await?;
                super::appearances::settle(&mut write, dataset.id, hash).await?;
            }
            done.push(Ok(hashes.len() as u32));
        }
        write.commit().await?;
        Ok(done)
    }

    /// Take examples out, all at once; for each entry, how many there were. Their splits are kept, and their embeddings.
    pub async fn remove(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        keys: &[Key],
    ) -> Result<Vec<Result<u32, Undone>>, StoreError> {
        let mut write = self.write().await?;
        let mut done = Vec::with_capacity(keys.len());
        for key in keys {
            let hashes = find(&mut write, dataset.id, key).await?;
            for hash in &hashes {
                sqlx::query(
                    "INSERT INTO removed_examples (dataset, tenant, hash, split)
                     SELECT dataset, ?, hash, split FROM examples WHERE dataset = ? AND hash = ?
                     ON CONFLICT (dataset, hash) DO UPDATE SET split = excluded.split",
                )
                .bind(tenant.as_str())
                .bind(dataset.id)
                .bind(&hash.as_bytes()[..])
                .execute(&mut *write)
                .await?;
                sqlx::query("DELETE FROM examples WHERE dataset = ? AND hash = ?")
                    .bind(dataset.id)
                    .bind(&hash.as_bytes()[..])
                    .execute(&mut *write)
                    .await?;
            }
            done.push(if hashes.is_empty() { Err(Undone::Unknown) } else { Ok(hashes.len() as u32) });
        }
        write.commit().await?;
        Ok(done)
    }
}

async fn all_labels(sql: &mut SqliteConnection, dataset: i64) -> Result<HashSet<String>, StoreError> {
    let labels: Vec<String> = sqlx::query_scalar("SELECT DISTINCT label FROM example_labels WHERE dataset = ?")
        .bind(dataset)
        .fetch_all(sql)
        .await?;
    Ok(labels.into_iter().collect())
}

async fn find(sql: &mut SqliteConnection, dataset: i64, key: &Key) -> Result<Vec<ContentHash>, StoreError> {
    let rows = match key {
        Key::Id(id) => {
            sqlx::query("SELECT hash FROM examples WHERE dataset = ? AND id = ?").bind(dataset).bind(id).fetch_all(sql)
        }
        Key::Hash(hash) => sqlx::query("SELECT hash FROM examples WHERE dataset = ? AND hash = ?")
            .bind(dataset)
            .bind(&hash.as_bytes()[..])
            .fetch_all(sql),
    };
    rows.await?.iter().map(hash_of).collect()
}

/// Give an example its labels, as a part of whatever `sql` is doing.
pub(super) async fn insert_labels(
    sql: &mut SqliteConnection,
    tenant: &Tenant,
    dataset: i64,
    hash: &ContentHash,
    labels: &[String],
) -> Result<(), StoreError> {
    for label in labels {
        sqlx::query(
            "INSERT INTO example_labels (dataset, tenant, hash, label) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(dataset)
        .bind(tenant.as_str())
        .bind(&hash.as_bytes()[..])
        .bind(label)
        .execute(&mut *sql)
        .await?;
    }
    Ok(())
}

/// Rows of [`ROWS`], one a label, as examples.
fn gather(rows: &[SqliteRow]) -> Result<Vec<ExampleRow>, StoreError> {
    let mut examples: Vec<ExampleRow> = Vec::new();
    for row in rows {
        let (hash, label) = (hash_of(row)?, row.try_get::<Option<String>, _>("label")?);
        match examples.last_mut() {
            Some(last) if last.hash == hash => last.labels.extend(label),
            _ => examples.push(ExampleRow {
                hash,
                id: row.try_get("id")?,
                labels: label.into_iter().collect(),
                split: split_of(row)?,
            }),
        }
    }
    Ok(examples)
}

/// The content hash of a row.
pub(super) fn hash_of(row: &SqliteRow) -> Result<ContentHash, StoreError> {
    ContentHash::from_slice(row.try_get("hash")?).ok_or_else(|| StoreError::Damaged {
        file: "graft.db".into(),
        reason: "a content hash is not 32 bytes long".into(),
    })
}

fn split_of(row: &SqliteRow) -> Result<Split, StoreError> {
    Ok(Split::try_from(row.try_get::<i32, _>("split")?).unwrap_or(Split::Train))
}
