//! Adds examples: a segment of their embeddings first, then all rows in one transaction.

use std::collections::HashSet;

use super::{
    Store,
    datasets::DatasetRow,
    examples::{ExampleRow, ROWS_AT_ONCE, hash_of, insert_labels},
    retry::{PATIENCE, patiently},
    segments::{NewExample, Segment},
    sql::{self, Builder, Connection, value::Value},
    views::{self, ViewKey},
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

impl Store {
    /// Store examples: their new embeddings in a segment of their own first, then all rows in one transaction. Gives
    /// back, for each, whether it is new; another import may have stored it in the meantime. `None` if the dataset was
    /// deleted, or given views that these examples do not have.
    pub async fn add(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        examples: &[NewExample],
    ) -> Result<Option<Vec<bool>>, StoreError> {
        let embedded: Vec<(ViewKey, &[f32])> = examples.iter().flat_map(NewExample::rows).collect();
        let segment = match embedded.is_empty() {
            true => None,
            false => Some(self.write_segment(dataset, &embedded).await?),
        };
        patiently!(PATIENCE, self.count(tenant, dataset, examples, segment.as_ref()))
    }

    /// Count the embeddings of a segment, and examples, in one transaction.
    async fn count(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        examples: &[NewExample],
        segment: Option<&Segment>,
    ) -> Result<Option<Vec<bool>>, StoreError> {
        let Some(mut write) = self.write_to(dataset.id).await? else { return Ok(None) };
        let augmentation: Option<Vec<u8>> = sql::query_scalar("SELECT augmentation FROM datasets WHERE id = ?")
            .bind(dataset.id)
            .fetch_one(&mut *write)
            .await?;
        if views::decode(augmentation)? != dataset.augmentation {
            return Ok(None);
        }
        if let Some(segment) = segment
            && !count_segment(&mut write, tenant, dataset, segment).await?
        {
            drop(write);
            return self.counted_before(dataset, examples).await.map(Some);
        }
        let mut new = insert_examples(&mut write, tenant, dataset, examples).await?;
        let new: Vec<bool> = examples.iter().map(|example| new.remove(&example.row.hash)).collect();
        let of_new = examples.iter().zip(&new).filter(|(_, new)| **new).map(|(example, _)| &example.row);
        let labels = of_new.flat_map(|row| row.labels.iter().map(|label| (&row.hash, label))).collect();
        insert_labels(&mut write, tenant, dataset.id, labels).await?;
        write.commit().await?;
        Ok(Some(new))
    }

    /// What [`Store::count`] would have given back the time before, when the transaction was kept but its answer was lost.
    async fn counted_before(&self, dataset: &DatasetRow, examples: &[NewExample]) -> Result<Vec<bool>, StoreError> {
        let hashes: Vec<ContentHash> = examples.iter().map(|example| example.row.hash).collect();
        let known = self.known(dataset.id, &hashes).await?;
        let ours = |row: &ExampleRow| known.get(&row.hash).is_some_and(|k| k.id == row.id && k.labels == row.labels);
        Ok(examples.iter().map(|example| ours(&example.row)).collect())
    }
}

/// Count a segment and its embeddings. `false` if they are counted already.
async fn count_segment(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    segment: &Segment,
) -> Result<bool, StoreError> {
    let done = sql::query(
        "INSERT INTO segments (id, tenant, space, rows, checksum) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(&segment.id)
    .bind(tenant.as_str())
    .bind(&dataset.space)
    .bind(segment.keys.len() as i64)
    .bind(&segment.checksum[..])
    .execute(&mut *sql)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let mut rows: Vec<(usize, &ViewKey)> = segment.keys.iter().enumerate().collect();
    // In the order of the hashes: two imports of the same images into different datasets wait for each other, and not both.
    rows.sort_unstable_by_key(|(_, key)| **key);
    let (plain, views): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, key)| key.view == 0);
    let (tenant, recipe) = (tenant.as_str(), dataset.recipe());
    for some in plain.chunks(ROWS_AT_ONCE) {
        let mut insert = Builder::new("INSERT INTO embeddings (tenant, space, hash, segment, row) VALUES ");
        insert.push_rows(some.iter().map(|(row, key)| {
            let hash = Value::from(&key.hash.as_bytes()[..]);
            [tenant.into(), (&dataset.space).into(), hash, (&segment.id).into(), (*row as i64).into()]
        }));
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(&mut *sql).await?;
    }
    for some in views.chunks(ROWS_AT_ONCE) {
        let mut insert =
            Builder::new("INSERT INTO view_embeddings (tenant, space, recipe, hash, view, segment, row) VALUES ");
        insert.push_rows(some.iter().map(|(row, key)| {
            let (space, hash) = (Value::from(&dataset.space), Value::from(&key.hash.as_bytes()[..]));
            let (segment, row) = (Value::from(&segment.id), Value::from(*row as i64));
            [tenant.into(), space, (&recipe).into(), hash, key.view.into(), segment, row]
        }));
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(&mut *sql).await?;
    }
    Ok(true)
}

/// Insert examples without their labels, and give back which are new.
async fn insert_examples(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    examples: &[NewExample],
) -> Result<HashSet<ContentHash>, StoreError> {
    let mut new = HashSet::with_capacity(examples.len());
    for some in examples.chunks(ROWS_AT_ONCE) {
        let mut insert = Builder::new("INSERT INTO examples (dataset, tenant, hash, id, split) VALUES ");
        insert.push_rows(some.iter().map(|NewExample { row, .. }| {
            let hash = Value::from(&row.hash.as_bytes()[..]);
            [dataset.id.into(), tenant.as_str().into(), hash, (&row.id).into(), (row.split as i32).into()]
        }));
        insert.push(" ON CONFLICT DO NOTHING RETURNING hash");
        for row in insert.build().fetch_all(&mut *sql).await? {
            new.insert(hash_of(&row)?);
        }
    }
    Ok(new)
}
