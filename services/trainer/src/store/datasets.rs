//! Datasets and their examples.

use std::collections::{BTreeMap, HashMap, HashSet};

use graft_proto::v1::{ClassCount, Dataset, Split};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Store, now, segments::push_hashes, timestamp};
use crate::{
    content::ContentHash,
    error::StoreError,
    names::{Name, Tenant},
};

/// A dataset as the store knows it.
#[derive(Clone, Debug)]
pub struct DatasetRow {
    /// Its key.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The backbone whose embeddings it holds.
    pub backbone: String,
    /// Their space.
    pub space: String,
    /// Numbers in one embedding.
    pub dimension: u32,
    /// When it was created, in milliseconds since 1970.
    pub create_time: i64,
}

/// An example without its embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRow {
    /// The image.
    pub hash: ContentHash,
    /// Its label.
    pub label: String,
    /// What it is used for.
    pub split: Split,
}

impl Store {
    /// Create an empty dataset. `false` if the name is taken.
    pub async fn create_dataset(
        &self,
        tenant: &Tenant,
        name: &Name,
        backbone: &str,
        space: &str,
        dimension: u32,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO datasets (tenant, name, backbone, space, dimension, create_time) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(name.as_str())
        .bind(backbone)
        .bind(space)
        .bind(dimension)
        .bind(now())
        .execute(&self.sql)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// A dataset by name.
    pub async fn dataset(&self, tenant: &Tenant, name: &Name) -> Result<Option<DatasetRow>, StoreError> {
        let row = sqlx::query(
            "SELECT id, name, backbone, space, dimension, create_time FROM datasets WHERE tenant = ? AND name = ?",
        )
        .bind(tenant.as_str())
        .bind(name.as_str())
        .fetch_optional(&self.sql)
        .await?;
        row.map(|row| dataset_row(&row)).transpose()
    }

    /// At most `most` datasets whose names come after `after`, sorted by name.
    pub async fn datasets(&self, tenant: &Tenant, after: &str, most: u32) -> Result<Vec<DatasetRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, backbone, space, dimension, create_time FROM datasets
             WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?",
        )
        .bind(tenant.as_str())
        .bind(after)
        .bind(most)
        .fetch_all(&self.sql)
        .await?;
        rows.iter().map(dataset_row).collect()
    }

    /// Delete a dataset with its examples. `false` if there is none.
    pub async fn delete_dataset(&self, tenant: &Tenant, name: &Name) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM datasets WHERE tenant = ? AND name = ?")
            .bind(tenant.as_str())
            .bind(name.as_str())
            .execute(&self.sql)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The dataset as the API tells it, with its classes counted.
    pub async fn describe(&self, dataset: DatasetRow) -> Result<Dataset, StoreError> {
        let rows =
            sqlx::query("SELECT label, split, COUNT(*) AS n FROM examples WHERE dataset = ? GROUP BY label, split")
                .bind(dataset.id)
                .fetch_all(&self.sql)
                .await?;
        let mut classes: BTreeMap<String, ClassCount> = BTreeMap::new();
        let mut example_count = 0;
        for row in rows {
            let (label, count): (String, i64) = (row.try_get("label")?, row.try_get("n")?);
            let class = classes.entry(label.clone()).or_insert(ClassCount { label, ..Default::default() });
            let slot = match Split::try_from(row.try_get::<i32, _>("split")?) {
                Ok(Split::Validation) => &mut class.validation,
                Ok(Split::Test) => &mut class.test,
                _ => &mut class.train,
            };
            *slot += count as u64;
            example_count += count as u64;
        }
        Ok(Dataset {
            name: dataset.name,
            backbone: dataset.backbone,
            space: dataset.space,
            dimension: dataset.dimension,
            classes: classes.into_values().collect(),
            example_count,
            create_time: Some(timestamp(dataset.create_time)),
        })
    }

    /// Every label of a dataset.
    pub async fn all_labels(&self, dataset: i64) -> Result<HashSet<String>, StoreError> {
        let labels: Vec<String> = sqlx::query_scalar("SELECT DISTINCT label FROM examples WHERE dataset = ?")
            .bind(dataset)
            .fetch_all(&self.sql)
            .await?;
        Ok(labels.into_iter().collect())
    }

    /// The labels of those of these images that a dataset has. Ask for a few hundred at once, at the most.
    pub async fn labels(
        &self,
        dataset: i64,
        hashes: &[ContentHash],
    ) -> Result<HashMap<ContentHash, String>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT hash, label FROM examples WHERE dataset = ");
        query.push_bind(dataset);
        push_hashes(&mut query, hashes);
        let rows = query.build().persistent(false).fetch_all(&self.sql).await?;
        Ok(rows.iter().filter_map(|row| Some((ContentHash::from_slice(row.get("hash"))?, row.get("label")))).collect())
    }

    /// Every example of a dataset, in the order of the hashes.
    pub async fn examples(&self, dataset: i64) -> Result<Vec<ExampleRow>, StoreError> {
        let rows = sqlx::query("SELECT hash, label, split FROM examples WHERE dataset = ? ORDER BY hash")
            .bind(dataset)
            .fetch_all(&self.sql)
            .await?;
        rows.iter()
            .map(|row| {
                let hash = ContentHash::from_slice(row.try_get("hash")?).ok_or_else(|| StoreError::Damaged {
                    file: "graft.db".into(),
                    reason: "a content hash is not 32 bytes long".into(),
                })?;
                let split = Split::try_from(row.try_get::<i32, _>("split")?).unwrap_or(Split::Train);
                Ok(ExampleRow { hash, label: row.try_get("label")?, split })
            })
            .collect()
    }
}

fn dataset_row(row: &sqlx::sqlite::SqliteRow) -> Result<DatasetRow, StoreError> {
    Ok(DatasetRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        backbone: row.try_get("backbone")?,
        space: row.try_get("space")?,
        dimension: row.try_get("dimension")?,
        create_time: row.try_get("create_time")?,
    })
}
