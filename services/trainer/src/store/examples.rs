//! The examples of datasets: read, relabelled, removed.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::Split;

use super::{
    Store,
    datasets::DatasetRow,
    segments::push_hashes,
    sql::{self, Builder, Connection, On, Row, value::Value},
};
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

/// Rows that are inserted by one statement. Each has a handful of parameters, and PostgreSQL takes 65,535.
pub(super) const ROWS_AT_ONCE: usize = 256;

const ROWS: &str = "SELECT e.hash AS hash, e.id AS id, e.split AS split, l.label AS label FROM examples e
     LEFT JOIN example_labels l ON l.dataset = e.dataset AND l.hash = e.hash";

impl Store {
    /// Every label of a dataset.
    pub async fn all_labels(&self, dataset: i64) -> Result<HashSet<String>, StoreError> {
        all_labels(&self.sql, dataset).await
    }

    /// What a dataset knows of those of these images that it has. Ask for a few hundred at once, at the most.
    pub async fn known(&self, dataset: i64, hashes: &[ContentHash]) -> Result<HashMap<ContentHash, Known>, StoreError> {
        let mut query = Builder::new(
            "SELECT e.hash AS hash, e.id AS id, l.label AS label, EXISTS (
                 SELECT 1 FROM appearances a WHERE a.dataset = e.dataset AND a.hash = e.hash) AS again
             FROM examples e LEFT JOIN example_labels l ON l.dataset = e.dataset AND l.hash = e.hash WHERE e.dataset = ",
        );
        query.push_bind(dataset);
        push_hashes(&mut query, "e.hash", hashes);
        query.push(" ORDER BY e.hash, l.label");
        let mut known: HashMap<ContentHash, Known> = HashMap::new();
        for row in query.build().fetch_all(&self.sql).await? {
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
        let mut query = Builder::new("SELECT hash, split FROM removed_examples WHERE dataset = ");
        query.push_bind(dataset);
        push_hashes(&mut query, "hash", hashes);
        let rows = query.build().fetch_all(&self.sql).await?;
        rows.iter().map(|row| Ok((hash_of(row)?, split_of(row)?))).collect()
    }

    /// Every example of a dataset, in the order of the hashes.
    pub async fn examples(&self, dataset: i64) -> Result<Vec<ExampleRow>, StoreError> {
        let sql = format!("{ROWS} WHERE e.dataset = ? ORDER BY e.hash, l.label");
        let rows = sql::query(sqlx::AssertSqlSafe(sql)).bind(dataset).fetch_all(&self.sql).await?;
        gather(&rows)
    }

    /// These examples, in the order of the hashes. Ask for a few hundred at once, at the most.
    pub async fn some_examples(&self, dataset: i64, hashes: &[ContentHash]) -> Result<Vec<ExampleRow>, StoreError> {
        let mut query = Builder::new(ROWS);
        query.push(" WHERE e.dataset = ").push_bind(dataset);
        push_hashes(&mut query, "e.hash", hashes);
        query.push(" ORDER BY e.hash, l.label");
        gather(&query.build().fetch_all(&self.sql).await?)
    }

    /// Give examples other labels, all at once; for each entry, how many it was done to, or why to none. What conflicts they
    /// had are settled by it.
    pub async fn relabel(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        entries: &[(Key, Vec<String>)],
    ) -> Result<Vec<Result<u32, Undone>>, StoreError> {
        let Some(mut write) = self.write_to(dataset.id).await? else {
            return Ok(vec![Err(Undone::Unknown); entries.len()]);
        };
        let mut all = all_labels(&mut *write, dataset.id).await?;
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
                sql::query("DELETE FROM example_labels WHERE dataset = ? AND hash = ?")
                    .bind(dataset.id)
                    .bind(&hash.as_bytes()[..])
                    .execute(&mut *write)
                    .await?;
                let labels = labels.iter().map(|label| (hash, label)).collect();
                insert_labels(&mut write, tenant, dataset.id, labels).await?;
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
        let Some(mut write) = self.write_to(dataset.id).await? else {
            return Ok(vec![Err(Undone::Unknown); keys.len()]);
        };
        let mut done = Vec::with_capacity(keys.len());
        for key in keys {
            let hashes = find(&mut write, dataset.id, key).await?;
            for hash in &hashes {
                sql::query(
                    "INSERT INTO removed_examples (dataset, tenant, hash, split)
                     SELECT dataset, ?, hash, split FROM examples WHERE dataset = ? AND hash = ?
                     ON CONFLICT (dataset, hash) DO UPDATE SET split = excluded.split",
                )
                .bind(tenant.as_str())
                .bind(dataset.id)
                .bind(&hash.as_bytes()[..])
                .execute(&mut *write)
                .await?;
                sql::query("DELETE FROM examples WHERE dataset = ? AND hash = ?")
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

async fn all_labels(sql: impl Into<On<'_>>, dataset: i64) -> Result<HashSet<String>, StoreError> {
    let labels: Vec<String> = sql::query_scalar("SELECT DISTINCT label FROM example_labels WHERE dataset = ?")
        .bind(dataset)
        .fetch_all(sql)
        .await?;
    Ok(labels.into_iter().collect())
}

async fn find(sql: &mut Connection, dataset: i64, key: &Key) -> Result<Vec<ContentHash>, StoreError> {
    let rows = match key {
        Key::Id(id) => {
            sql::query("SELECT hash FROM examples WHERE dataset = ? AND id = ?").bind(dataset).bind(id).fetch_all(sql)
        }
        Key::Hash(hash) => sql::query("SELECT hash FROM examples WHERE dataset = ? AND hash = ?")
            .bind(dataset)
            .bind(&hash.as_bytes()[..])
            .fetch_all(sql),
    };
    rows.await?.iter().map(hash_of).collect()
}

/// Give examples their labels, as a part of whatever `sql` is doing.
pub(super) async fn insert_labels(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: i64,
    labels: Vec<(&ContentHash, &String)>,
) -> Result<(), StoreError> {
    for some in labels.chunks(ROWS_AT_ONCE) {
        let mut insert = Builder::new("INSERT INTO example_labels (dataset, tenant, hash, label) VALUES ");
        insert.push_rows(some.iter().map(|(hash, label)| {
            [dataset.into(), tenant.as_str().into(), Value::from(&hash.as_bytes()[..]), (*label).into()]
        }));
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(&mut *sql).await?;
    }
    Ok(())
}

/// Rows of [`ROWS`], one a label, as examples.
fn gather(rows: &[Row]) -> Result<Vec<ExampleRow>, StoreError> {
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
pub(super) fn hash_of(row: &Row) -> Result<ContentHash, StoreError> {
    ContentHash::from_slice(row.try_get("hash")?).ok_or_else(|| StoreError::Damaged {
        file: "graft.db".into(),
        reason: "a content hash is not 32 bytes long".into(),
    })
}

fn split_of(row: &Row) -> Result<Split, StoreError> {
    Ok(Split::try_from(row.try_get::<i32, _>("split")?).unwrap_or(Split::Train))
}
