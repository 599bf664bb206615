//! Adds examples: segments of their embeddings first, then all rows in one transaction.
//!
//! The transaction counts a use of each embedding that an example needs, which also tells whether it is there still. So an
//! embedding that came into use is never collected (`garbage/mod.rs` says why), and one that was collected is told.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::Split;

use super::{
    Store,
    datasets::DatasetRow,
    examples::{ExampleRow, ROWS_AT_ONCE, UNLABELLED, hash_of, insert_labels},
    retry::{PATIENCE, patiently},
    segments::{NewExample, Segment, push_hashes},
    sql::{self, Builder, Connection, value::Value},
    views::{self, ViewKey},
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// What became of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new, or waited for the labels that it has now.
    New,
    /// The dataset has it already.
    Known,
    /// It was not stored: the embedding that it was to reuse is not there any more.
    Lost,
}

/// Examples whose new embeddings are in a file, which does not count yet.
#[derive(Debug)]
pub struct Filed {
    /// The examples.
    rows: Vec<ExampleRow>,
    /// Those that reuse an embedding.
    reused: Vec<ExampleRow>,
    segment: Option<Segment>,
}

impl Filed {
    /// How many examples there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The examples, in the order in which they were given.
    pub fn into_rows(self) -> Vec<ExampleRow> {
        self.rows
    }
}

impl Store {
    /// Store examples, of which no two are the same image: their new embeddings in a segment of their own first, then all rows
    /// in one transaction. Gives back what became of each; another import may have stored it in the meantime. `None` if the
    /// dataset was deleted, or given views that these examples do not have.
    pub async fn add(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        examples: &[NewExample],
    ) -> Result<Option<Vec<Added>>, StoreError> {
        let filed = self.file(dataset, examples).await?;
        self.count(tenant, dataset, &[filed]).await
    }

    /// The first half of [`add`](Self::add): write what is new to a segment.
    pub async fn file(&self, dataset: &DatasetRow, examples: &[NewExample]) -> Result<Filed, StoreError> {
        let embedded: Vec<(ViewKey, &[f32])> = examples.iter().flat_map(NewExample::rows).collect();
        let segment = match embedded.is_empty() {
            true => None,
            false => Some(self.write_segment(dataset, &embedded).await?),
        };
        let reused = examples.iter().filter(|example| example.embedding.is_none());
        let reused = reused.map(|example| example.row.clone()).collect();
        Ok(Filed { rows: examples.iter().map(|example| example.row.clone()).collect(), reused, segment })
    }

    /// The second half: count what was filed, of which no two examples are the same image, in one transaction. What became of
    /// each, in their order.
    pub async fn count(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        filed: &[Filed],
    ) -> Result<Option<Vec<Added>>, StoreError> {
        patiently!(PATIENCE, self.count_once(tenant, dataset, filed))
    }

    async fn count_once(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        filed: &[Filed],
    ) -> Result<Option<Vec<Added>>, StoreError> {
        let Some(mut write) = self.write_to(dataset.id).await? else { return Ok(None) };
        let augmentation: Option<Vec<u8>> = sql::query_scalar("SELECT augmentation FROM datasets WHERE id = ?")
            .bind(dataset.id)
            .fetch_one(&mut *write)
            .await?;
        if views::decode(augmentation)? != dataset.augmentation {
            return Ok(None);
        }
        let rows: Vec<&ExampleRow> = filed.iter().flat_map(|filed| &filed.rows).collect();
        let segments: Vec<&Segment> = filed.iter().filter_map(|filed| filed.segment.as_ref()).collect();
        if !count_segments(&mut write, tenant, dataset, &segments).await? {
            drop(write);
            return self.counted_before(dataset, &rows).await.map(Some);
        }
        let reused: Vec<&ExampleRow> = filed.iter().flat_map(|filed| &filed.reused).collect();
        let lost = count_uses(&mut write, tenant, dataset, &reused).await?;
        let kept: Vec<&ExampleRow> = rows.iter().copied().filter(|row| !lost.contains(&row.hash)).collect();
        let new = insert_examples(&mut write, tenant, dataset, &kept).await?;
        let of_new = kept.iter().filter(|row| new.contains(&row.hash));
        let labels = of_new.flat_map(|row| row.labels.iter().map(|label| (&row.hash, label))).collect();
        insert_labels(&mut write, tenant, dataset.id, labels).await?;
        write.commit().await?;
        let added = rows.iter().map(|row| match () {
            () if lost.contains(&row.hash) => Added::Lost,
            () if new.contains(&row.hash) => Added::New,
            () => Added::Known,
        });
        Ok(Some(added.collect()))
    }

    /// What [`Store::count`] would have given back the time before, when the transaction was kept but its answer was lost.
    async fn counted_before(&self, dataset: &DatasetRow, rows: &[&ExampleRow]) -> Result<Vec<Added>, StoreError> {
        let mut known = HashMap::with_capacity(rows.len());
        for some in rows.chunks(ROWS_AT_ONCE) {
            let hashes: Vec<ContentHash> = some.iter().map(|row| row.hash).collect();
            known.extend(self.known(dataset.id, &hashes).await?);
        }
        let ours = |row: &ExampleRow| known.get(&row.hash).is_some_and(|k| k.id == row.id && k.labels == row.labels);
        Ok(rows.iter().map(|row| if ours(row) { Added::New } else { Added::Known }).collect())
    }
}

/// Count segments and their embeddings. `false` if they are counted already, which they are together.
async fn count_segments(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    segments: &[&Segment],
) -> Result<bool, StoreError> {
    for Segment { id, checksum, keys } in segments {
        let done = sql::query(
            "INSERT INTO segments (id, tenant, space, rows, checksum) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(tenant.as_str())
        .bind(&dataset.space)
        .bind(keys.len() as i64)
        .bind(&checksum[..])
        .execute(&mut *sql)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
    }
    // In the order of the hashes: two imports of the same images into different datasets wait for each other, and not both.
    let mut rows: Vec<(&ViewKey, &str, usize)> = Vec::new();
    for segment in segments {
        rows.extend(segment.keys.iter().enumerate().map(|(row, key)| (key, segment.id.as_str(), row)));
    }
    rows.sort_unstable();
    let (plain, views): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(key, ..)| key.view == 0);
    insert_embeddings(sql, tenant, dataset, &plain).await?;
    insert_views(sql, tenant, dataset, &views).await?;
    Ok(true)
}

async fn insert_embeddings(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    rows: &[(&ViewKey, &str, usize)],
) -> Result<(), StoreError> {
    for some in rows.chunks(ROWS_AT_ONCE) {
        let mut insert = Builder::new("INSERT INTO embeddings (tenant, space, hash, segment, row) VALUES ");
        insert.push_rows(some.iter().map(|(key, segment, row)| {
            let hash = Value::from(&key.hash.as_bytes()[..]);
            [tenant.as_str().into(), (&dataset.space).into(), hash, (*segment).into(), (*row as i64).into()]
        }));
        // One that is there already comes into use, as if it had been looked up.
        insert.push(" ON CONFLICT (tenant, space, hash) DO UPDATE SET uses = embeddings.uses + 1");
        insert.build().execute(&mut *sql).await?;
    }
    Ok(())
}

async fn insert_views(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    rows: &[(&ViewKey, &str, usize)],
) -> Result<(), StoreError> {
    let recipe = dataset.recipe();
    for some in rows.chunks(ROWS_AT_ONCE) {
        let mut insert =
            Builder::new("INSERT INTO view_embeddings (tenant, space, recipe, hash, view, segment, row) VALUES ");
        insert.push_rows(some.iter().map(|(key, segment, row)| {
            let (space, hash) = (Value::from(&dataset.space), Value::from(&key.hash.as_bytes()[..]));
            let (segment, row) = (Value::from(*segment), Value::from(*row as i64));
            [tenant.as_str().into(), space, (&recipe).into(), hash, key.view.into(), segment, row]
        }));
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(&mut *sql).await?;
    }
    Ok(())
}

/// Count a use of each embedding that examples reuse. Gives back the examples whose embeddings are not there: neither is all
/// that they need of their views.
async fn count_uses(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    reused: &[&ExampleRow],
) -> Result<HashSet<ContentHash>, StoreError> {
    let mut lost: HashSet<ContentHash> = reused.iter().map(|row| row.hash).collect();
    for some in reused.chunks(ROWS_AT_ONCE) {
        let hashes: Vec<ContentHash> = some.iter().map(|row| row.hash).collect();
        let mut update = Builder::new("UPDATE embeddings SET uses = uses + 1 WHERE tenant = ");
        update.push_bind(tenant.as_str()).push(" AND space = ").push_bind(&dataset.space);
        push_hashes(&mut update, "hash", &hashes);
        update.push(" RETURNING hash");
        let there = update.build().fetch_all(&mut *sql).await?;
        let there: HashSet<ContentHash> = there.iter().map(hash_of).collect::<Result<_, _>>()?;
        let viewed = views::viewed(&mut *sql, tenant, dataset, &hashes).await?;
        for row in some {
            // What is measured on needs no views.
            if there.contains(&row.hash) && (row.split == Split::Test || viewed.contains(&row.hash)) {
                lost.remove(&row.hash);
            }
        }
    }
    Ok(lost)
}

/// Insert examples without their labels, and give back which are new. One that waits for labels is, if it comes with them.
async fn insert_examples(
    sql: &mut Connection,
    tenant: &Tenant,
    dataset: &DatasetRow,
    examples: &[&ExampleRow],
) -> Result<HashSet<ContentHash>, StoreError> {
    let mut new = HashSet::with_capacity(examples.len());
    for some in examples.chunks(ROWS_AT_ONCE) {
        let mut insert = Builder::new("INSERT INTO examples (dataset, tenant, hash, id, split) VALUES ");
        insert.push_rows(some.iter().map(|row| {
            let hash = Value::from(&row.hash.as_bytes()[..]);
            [dataset.id.into(), tenant.as_str().into(), hash, (&row.id).into(), (row.split as i32).into()]
        }));
        insert.push(" ON CONFLICT (dataset, hash) DO UPDATE SET split = excluded.split WHERE examples.split = ");
        insert.push_bind(UNLABELLED).push(" AND excluded.split <> ").push_bind(UNLABELLED).push(" RETURNING hash");
        for row in insert.build().fetch_all(&mut *sql).await? {
            new.insert(hash_of(&row)?);
        }
    }
    Ok(new)
}
