//! Changes to examples: relabelled, removed.

use graft_proto::v1::Split;

use super::{
    Store,
    appearances::settle,
    datasets::DatasetRow,
    examples::{all_labels, hash_of, insert_labels, split_of},
    sql::{self, Connection, Row},
};
use crate::{
    content::ContentHash,
    error::StoreError,
    names::{MOST_LABELS, Tenant},
};

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

/// Chooses the split of an example with these labels that has had none before.
pub type Place<'a> = dyn FnMut(&ContentHash, &[String]) -> Split + Send + 'a;

impl Store {
    /// Give examples other labels, all at once; for each entry, how many it was done to, or why to none. What conflicts they
    /// had are settled by it. Those that waited for a label go where they were before, or where `place` says.
    pub async fn relabel(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        entries: &[(Key, Vec<String>)],
        place: &mut Place<'_>,
    ) -> Result<Vec<Result<u32, Undone>>, StoreError> {
        let Some(mut write) = self.write_to(dataset.id).await? else {
            return Ok(vec![Err(Undone::Unknown); entries.len()]);
        };
        let mut all = all_labels(&mut *write, dataset.id).await?;
        let mut done = Vec::with_capacity(entries.len());
        for (key, labels) in entries {
            let found = find(&mut write, dataset.id, key).await?;
            if found.is_empty() {
                done.push(Err(Undone::Unknown));
                continue;
            }
            let new: Vec<&String> = labels.iter().filter(|label| !all.contains(*label)).collect();
            if let Some(label) = new.first().filter(|_| all.len() + new.len() > MOST_LABELS) {
                done.push(Err(Undone::TooManyLabels((*label).clone())));
                continue;
            }
            all.extend(labels.iter().cloned());
            for (hash, split) in &found {
                sql::query("DELETE FROM example_labels WHERE dataset = ? AND hash = ?")
                    .bind(dataset.id)
                    .bind(&hash.as_bytes()[..])
                    .execute(&mut *write)
                    .await?;
                insert_labels(&mut write, tenant, dataset.id, labels.iter().map(|label| (hash, label)).collect())
                    .await?;
                if *split == Split::Unlabelled {
                    let split = place(hash, labels);
                    put(&mut write, dataset.id, hash, split).await?;
                }
                settle(&mut write, dataset.id, hash).await?;
            }
            done.push(Ok(found.len() as u32));
        }
        write.commit().await?;
        Ok(done)
    }

    /// Take examples out, all at once; for each entry, how many there were. Their splits are kept.
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
            let found = find(&mut write, dataset.id, key).await?;
            for (hash, split) in &found {
                if *split != Split::Unlabelled {
                    keep_split(&mut write, tenant, dataset.id, hash).await?;
                }
                sql::query("DELETE FROM examples WHERE dataset = ? AND hash = ?")
                    .bind(dataset.id)
                    .bind(&hash.as_bytes()[..])
                    .execute(&mut *write)
                    .await?;
            }
            done.push(if found.is_empty() { Err(Undone::Unknown) } else { Ok(found.len() as u32) });
        }
        write.commit().await?;
        Ok(done)
    }
}

/// Put an example into the split that it was in before it was removed; into `split` if it was in none.
async fn put(sql: &mut Connection, dataset: i64, hash: &ContentHash, split: Split) -> Result<(), StoreError> {
    sql::query(
        "UPDATE examples SET split = COALESCE(
             (SELECT r.split FROM removed_examples r WHERE r.dataset = ?1 AND r.hash = ?2), ?3)
         WHERE dataset = ?1 AND hash = ?2",
    )
    .bind(dataset)
    .bind(&hash.as_bytes()[..])
    .bind(split as i32)
    .execute(sql)
    .await?;
    Ok(())
}

/// Remember the split of an example that is taken out.
async fn keep_split(sql: &mut Connection, tenant: &Tenant, dataset: i64, hash: &ContentHash) -> Result<(), StoreError> {
    sql::query(
        "INSERT INTO removed_examples (dataset, tenant, hash, split)
         SELECT dataset, ?, hash, split FROM examples WHERE dataset = ? AND hash = ?
         ON CONFLICT (dataset, hash) DO UPDATE SET split = excluded.split",
    )
    .bind(tenant.as_str())
    .bind(dataset)
    .bind(&hash.as_bytes()[..])
    .execute(sql)
    .await?;
    Ok(())
}

/// The examples of a key, with their splits.
async fn find(sql: &mut Connection, dataset: i64, key: &Key) -> Result<Vec<(ContentHash, Split)>, StoreError> {
    let rows = match key {
        Key::Id(id) => sql::query("SELECT hash, split FROM examples WHERE dataset = ? AND id = ?")
            .bind(dataset)
            .bind(id)
            .fetch_all(sql),
        Key::Hash(hash) => sql::query("SELECT hash, split FROM examples WHERE dataset = ? AND hash = ?")
            .bind(dataset)
            .bind(&hash.as_bytes()[..])
            .fetch_all(sql),
    };
    rows.await?.iter().map(|row: &Row| Ok((hash_of(row)?, split_of(row)?))).collect()
}
