//! The views of examples: how a dataset's are made, and where the embedding of each is.

use std::collections::HashSet;

use graft_proto::{augmentation, v1::Augmentation};
use prost::Message;

use super::{
    Store,
    datasets::DatasetRow,
    examples::hash_of,
    segments::push_hashes,
    sql::{self, Builder, On},
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// An image, or a view of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        // What another import adds at this moment is seen: it, or this, waits for the other.
        let Some(mut write) = self.write_to(dataset).await? else { return Ok(false) };
        let done = sql::query(
            "UPDATE datasets SET augmentation = $1 WHERE id = $2 AND augmentation IS NULL
             AND NOT EXISTS (SELECT 1 FROM examples e WHERE e.dataset = $2)",
        )
        .bind(augmentation.encode_to_vec())
        .bind(dataset)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Which of these images have an embedding for every view that `dataset` has. Ask for a few hundred at once, at the most.
    pub async fn viewed(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        hashes: &[ContentHash],
    ) -> Result<HashSet<ContentHash>, StoreError> {
        viewed(&self.sql, tenant, dataset, hashes).await
    }
}

/// The same, as a part of whatever `sql` is doing.
pub(super) async fn viewed(
    sql: impl Into<On<'_>>,
    tenant: &Tenant,
    dataset: &DatasetRow,
    hashes: &[ContentHash],
) -> Result<HashSet<ContentHash>, StoreError> {
    let views = dataset.views();
    if views == 0 {
        return Ok(hashes.iter().copied().collect());
    }
    let mut query = Builder::new("SELECT hash FROM view_embeddings WHERE tenant = ");
    query.push_bind(tenant.as_str()).push(" AND space = ").push_bind(&dataset.space);
    query.push(" AND recipe = ").push_bind(dataset.recipe()).push(" AND view <= ").push_bind(views);
    push_hashes(&mut query, "hash", hashes);
    query.push(" GROUP BY hash HAVING COUNT(*) = ").push_bind(views);
    let rows = query.build().fetch_all(sql).await?;
    rows.iter().map(hash_of).collect()
}

/// A dataset's augmentation as the store has it.
pub(super) fn decode(stored: Option<Vec<u8>>) -> Result<Option<Augmentation>, StoreError> {
    let damaged = |error: prost::DecodeError| StoreError::Damaged {
        file: "graft.db".into(),
        reason: format!("an augmentation cannot be read: {error}"),
    };
    stored.map(|bytes| Augmentation::decode(&bytes[..]).map_err(damaged)).transpose()
}
