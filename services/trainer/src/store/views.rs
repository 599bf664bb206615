//! The views of examples: how a dataset's are made, and where the embedding of each is.

use std::collections::HashSet;

use graft_proto::{augmentation, v1::Augmentation};
use prost::Message;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Store, datasets::DatasetRow, segments::push_hashes};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// An image, or a view of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewKey {
    /// The image.
    pub hash: ContentHash,
    /// The view; 0 for the image itself.
    pub view: u32,
}

impl DatasetRow {
    /// Views of each example beside it.
    pub fn views(&self) -> u32 {
        self.augmentation.as_ref().map_or(0, |augmentation| augmentation.views)
    }

    /// What makes its views, in one line of text; empty if it has none.
    pub fn recipe(&self) -> String {
        self.augmentation.as_ref().map(augmentation::recipe).unwrap_or_default()
    }
}

impl Store {
    /// Let a dataset that has neither views nor examples have views from now on. `false` if it is not such a one.
    pub async fn set_augmentation(&self, dataset: i64, augmentation: &Augmentation) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE datasets SET augmentation = $1 WHERE id = $2 AND augmentation IS NULL
             AND NOT EXISTS (SELECT 1 FROM examples e WHERE e.dataset = $2)",
        )
        .bind(augmentation.encode_to_vec())
        .bind(dataset)
        .execute(&self.sql)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Which of these images have an embedding for every view that `dataset` has. Ask for a few hundred at once, at the most.
    pub async fn viewed(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        hashes: &[ContentHash],
    ) -> Result<HashSet<ContentHash>, StoreError> {
        let views = dataset.views();
        if views == 0 {
            return Ok(hashes.iter().copied().collect());
        }
        let mut query = QueryBuilder::<Sqlite>::new("SELECT hash FROM view_embeddings WHERE tenant = ");
        query.push_bind(tenant.as_str()).push(" AND space = ").push_bind(&dataset.space);
        query.push(" AND recipe = ").push_bind(dataset.recipe()).push(" AND view <= ").push_bind(views);
        push_hashes(&mut query, "hash", hashes);
        query.push(" GROUP BY hash HAVING COUNT(*) = ").push_bind(views);
        let rows = query.build().persistent(false).fetch_all(&self.sql).await?;
        Ok(rows.iter().filter_map(|row| ContentHash::from_slice(row.get("hash"))).collect())
    }
}

/// Say where the embedding of an image or a view is, as a part of whatever `sql` is doing. One that is known stays.
pub(super) async fn place(
    sql: &mut SqliteConnection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    key: ViewKey,
    segment: &str,
    row: i64,
) -> Result<(), StoreError> {
    let (hash, recipe) = (&key.hash.as_bytes()[..], dataset.recipe());
    let insert = match key.view {
        0 => sqlx::query(
            "INSERT INTO embeddings (tenant, space, hash, segment, row) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        ),
        _ => sqlx::query(
            "INSERT INTO view_embeddings (tenant, space, hash, segment, row, recipe, view)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        ),
    };
    let insert = insert.bind(tenant.as_str()).bind(&dataset.space).bind(hash).bind(segment).bind(row);
    let insert = if key.view == 0 { insert } else { insert.bind(recipe).bind(key.view) };
    insert.execute(sql).await?;
    Ok(())
}

/// A dataset's augmentation as the store has it.
pub(super) fn decode(stored: Option<Vec<u8>>) -> Result<Option<Augmentation>, StoreError> {
    let damaged = |error: prost::DecodeError| StoreError::Damaged {
        file: "graft.db".into(),
        reason: format!("an augmentation cannot be read: {error}"),
    };
    stored.map(|bytes| Augmentation::decode(&bytes[..]).map_err(damaged)).transpose()
}
