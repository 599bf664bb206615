//! The examples of datasets.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::Split;

use super::{
    Store,
    segments::push_hashes,
    sql::{self, Builder, Connection, On, Row, value::Value},
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// An example without its embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRow {
    /// The image.
    pub hash: ContentHash,
    /// The id that it was first imported under; empty if none is known.
    pub id: String,
    /// Its labels, sorted: exactly one unless the dataset is multi-label, and none while it waits for some.
    pub labels: Vec<String>,
    /// What it is used for.
    pub split: Split,
}

impl ExampleRow {
    /// Whether it waits for a label. (One without labels that does not says that none applies.)
    pub fn is_unlabelled(&self) -> bool {
        self.split == Split::Unlabelled
    }

    /// Whether `other`, which came later and is of the same image, is what it waits for.
    pub fn waits_for(&self, other: &ExampleRow) -> bool {
        self.is_unlabelled() && !other.is_unlabelled()
    }

    /// Whether it says other labels than `stored`, which is of the same image.
    pub fn contradicts(&self, stored: &ExampleRow) -> bool {
        !self.is_unlabelled() && self.labels != stored.labels
    }
}

/// What a dataset knows of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The id that it was first imported under.
    pub id: String,
    /// Its labels, sorted.
    pub labels: Vec<String>,
    /// What it is used for.
    pub split: Split,
    /// Whether it came at other times.
    pub has_appearances: bool,
}

impl Known {
    /// The example, which is of the image `hash`.
    pub fn row(&self, hash: ContentHash) -> ExampleRow {
        ExampleRow { hash, id: self.id.clone(), labels: self.labels.clone(), split: self.split }
    }
}

/// The split of examples that wait for a label.
pub(super) const UNLABELLED: i32 = Split::Unlabelled as i32;
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
            "SELECT e.hash AS hash, e.id AS id, e.split AS split, l.label AS label, EXISTS (
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
                split: split_of(&row)?,
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

    /// Every example of a dataset, in the order of the hashes, but for those that wait for a label.
    pub async fn examples(&self, dataset: i64) -> Result<Vec<ExampleRow>, StoreError> {
        let sql = format!("{ROWS} WHERE e.dataset = ? AND e.split <> {UNLABELLED} ORDER BY e.hash, l.label");
        let rows = sql::query(sqlx::AssertSqlSafe(sql)).bind(dataset).fetch_all(&self.sql).await?;
        gather(&rows)
    }

    /// At most `most` of the examples that wait for a label, in the order of the hashes.
    pub async fn unlabelled(&self, dataset: i64, most: u32) -> Result<Vec<ContentHash>, StoreError> {
        let rows = sql::query("SELECT hash FROM examples WHERE dataset = ? AND split = ? ORDER BY hash LIMIT ?")
            .bind(dataset)
            .bind(UNLABELLED)
            .bind(most)
            .fetch_all(&self.sql)
            .await?;
        rows.iter().map(hash_of).collect()
    }

    /// These examples, in the order of the hashes. Ask for a few hundred at once, at the most.
    pub async fn some_examples(&self, dataset: i64, hashes: &[ContentHash]) -> Result<Vec<ExampleRow>, StoreError> {
        let mut query = Builder::new(ROWS);
        query.push(" WHERE e.dataset = ").push_bind(dataset);
        push_hashes(&mut query, "e.hash", hashes);
        query.push(" ORDER BY e.hash, l.label");
        gather(&query.build().fetch_all(&self.sql).await?)
    }
}

/// Every label of a dataset, as a part of whatever `sql` is doing.
pub(super) async fn all_labels(sql: impl Into<On<'_>>, dataset: i64) -> Result<HashSet<String>, StoreError> {
    let labels: Vec<String> = sql::query_scalar("SELECT DISTINCT label FROM example_labels WHERE dataset = ?")
        .bind(dataset)
        .fetch_all(sql)
        .await?;
    Ok(labels.into_iter().collect())
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

/// The split of a row.
pub(super) fn split_of(row: &Row) -> Result<Split, StoreError> {
    Ok(Split::try_from(row.try_get::<i32, _>("split")?).unwrap_or(Split::Train))
}
