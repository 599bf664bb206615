//! Datasets, and how many examples each has.

use std::collections::BTreeMap;

use graft_proto::v1::{Augmentation, ClassCount, Dataset, Split};

use super::{
    Store,
    examples::UNLABELLED,
    now,
    sql::{self, Row},
    timestamp,
};
use crate::{
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
    /// Whether an example may have several labels, or none.
    pub multi_label: bool,
    /// The views of each example that are fitted on beside it, with its defaults filled in.
    pub augmentation: Option<Augmentation>,
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
        multi_label: bool,
    ) -> Result<bool, StoreError> {
        let done = sql::query(
            "INSERT INTO datasets (tenant, name, backbone, space, dimension, create_time, multi_label)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(name.as_str())
        .bind(backbone)
        .bind(space)
        .bind(dimension)
        .bind(now())
        .bind(multi_label)
        .execute(&self.sql)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// A dataset by name.
    pub async fn dataset(&self, tenant: &Tenant, name: &Name) -> Result<Option<DatasetRow>, StoreError> {
        let row = sql::query(
            "SELECT id, name, backbone, space, dimension, create_time, multi_label, augmentation FROM datasets
             WHERE tenant = ? AND name = ?",
        )
        .bind(tenant.as_str())
        .bind(name.as_str())
        .fetch_optional(&self.sql)
        .await?;
        row.map(|row| dataset_row(&row)).transpose()
    }

    /// At most `most` datasets whose names come after `after`, sorted by name.
    pub async fn datasets(&self, tenant: &Tenant, after: &str, most: u32) -> Result<Vec<DatasetRow>, StoreError> {
        let rows = sql::query(
            "SELECT id, name, backbone, space, dimension, create_time, multi_label, augmentation FROM datasets
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
        let done = sql::query("DELETE FROM datasets WHERE tenant = ? AND name = ?")
            .bind(tenant.as_str())
            .bind(name.as_str())
            .execute(&self.sql)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The dataset as the API tells it, with its classes counted.
    pub async fn describe(&self, dataset: DatasetRow) -> Result<Dataset, StoreError> {
        let rows = sql::query(
            "SELECT l.label AS label, e.split AS split, COUNT(*) AS n FROM example_labels l
             JOIN examples e ON e.dataset = l.dataset AND e.hash = l.hash
             WHERE l.dataset = ? GROUP BY l.label, e.split",
        )
        .bind(dataset.id)
        .fetch_all(&self.sql)
        .await?;
        let mut classes: BTreeMap<String, ClassCount> = BTreeMap::new();
        for row in rows {
            let label: String = row.try_get("label")?;
            let class = classes.entry(label.clone()).or_insert(ClassCount { label, ..Default::default() });
            add(class, row.try_get("split")?, row.try_get("n")?);
        }
        let splits = self.count_splits(dataset.id).await?;
        Ok(Dataset {
            name: dataset.name,
            backbone: dataset.backbone,
            space: dataset.space,
            dimension: dataset.dimension,
            classes: classes.into_values().collect(),
            example_count: splits.train + splits.validation + splits.test,
            unlabelled_count: self.count_unlabelled(dataset.id).await?,
            create_time: Some(timestamp(dataset.create_time)),
            multi_label: dataset.multi_label,
            augmentation: dataset.augmentation,
        })
    }

    /// Examples in each split, whatever their labels. Those that wait for a label are in none.
    pub async fn count_splits(&self, dataset: i64) -> Result<ClassCount, StoreError> {
        let rows =
            sql::query("SELECT split, COUNT(*) AS n FROM examples WHERE dataset = ? AND split <> ? GROUP BY split")
                .bind(dataset)
                .bind(UNLABELLED)
                .fetch_all(&self.sql)
                .await?;
        let mut splits = ClassCount::default();
        for row in rows {
            add(&mut splits, row.try_get("split")?, row.try_get("n")?);
        }
        Ok(splits)
    }

    /// Examples that wait for a label.
    pub async fn count_unlabelled(&self, dataset: i64) -> Result<u64, StoreError> {
        let count: i64 = sql::query_scalar("SELECT COUNT(*) FROM examples WHERE dataset = ? AND split = ?")
            .bind(dataset)
            .bind(UNLABELLED)
            .fetch_one(&self.sql)
            .await?;
        Ok(count.max(0) as u64)
    }
}

/// Count `n` examples of a split.
fn add(counts: &mut ClassCount, split: i32, n: i64) {
    let slot = match Split::try_from(split) {
        Ok(Split::Validation) => &mut counts.validation,
        Ok(Split::Test) => &mut counts.test,
        _ => &mut counts.train,
    };
    *slot += n.max(0) as u64;
}

fn dataset_row(row: &Row) -> Result<DatasetRow, StoreError> {
    Ok(DatasetRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        backbone: row.try_get("backbone")?,
        space: row.try_get("space")?,
        dimension: row.try_get("dimension")?,
        create_time: row.try_get("create_time")?,
        multi_label: row.try_get("multi_label")?,
        augmentation: super::views::decode(row.try_get("augmentation")?)?,
    })
}
