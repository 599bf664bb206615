//! Snapshots: which images, with which labels, in which splits, in a file that never changes.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::{Snapshot as Description, Split};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use uuid::Uuid;

use super::{
    Store,
    datasets::DatasetRow,
    examples::{ExampleRow, UNLABELLED},
    now,
    sql::{self, Connection, Row},
    timestamp,
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// Bytes of a content hash.
const HASH: usize = 32;
/// The key of the file's metadata that holds the labels, a JSON list.
const LABELS: &str = "labels";

/// The file of a snapshot: as its row says. Those of before are named for their content.
fn file(row: &Row) -> Result<String, StoreError> {
    let (id, file): (String, String) = (row.try_get("id")?, row.try_get("file")?);
    Ok(if file.is_empty() { format!("snapshots/{id}.safetensors") } else { file })
}

/// Examples of a dataset that are read together.
const PAGE: u32 = 10_000;

const COLUMNS: &str = "id, dataset, space, multi_label, examples, create_time";

impl Store {
    /// Keep `examples`, which are in the order of their hashes, as the snapshot `id` of a dataset. The same content is kept
    /// once. `false` if some are not in the dataset any more: their embeddings may be gone.
    pub async fn put_snapshot(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        id: &str,
        examples: &[ExampleRow],
    ) -> Result<bool, StoreError> {
        if self.snapshot(tenant, &dataset.name, id).await?.is_some_and(|there| there.space == dataset.space) {
            return Ok(true);
        }
        // Its own, though the content may have been written before: a file that is never written again may be removed.
        let file = format!("snapshots/{}.safetensors", Uuid::now_v7());
        let bytes = encode(examples).map_err(damaged(&file))?;
        let checksum = *blake3::hash(&bytes).as_bytes();
        self.put(&file, bytes).await?;
        // While it is counted the dataset does not change: that it names what is there is why its embeddings are.
        let Some(mut write) = self.write_to(dataset.id).await? else { return Ok(false) };
        if !holds(&mut write, dataset.id, examples).await? {
            return Ok(false);
        }
        // A dataset of an earlier time may have had this name, and the same content in another space.
        sql::query(
            "INSERT INTO snapshots (tenant, dataset, id, space, multi_label, examples, checksum, create_time, file)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (tenant, dataset, id) DO UPDATE SET
                 space = excluded.space, multi_label = excluded.multi_label, create_time = excluded.create_time",
        )
        .bind(tenant.as_str())
        .bind(&dataset.name)
        .bind(id)
        .bind(&dataset.space)
        .bind(dataset.multi_label)
        .bind(examples.len() as i64)
        .bind(&checksum[..])
        .bind(now())
        .bind(&file)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(true)
    }

    /// A snapshot of the dataset of this name.
    pub async fn snapshot(&self, tenant: &Tenant, dataset: &str, id: &str) -> Result<Option<Description>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM snapshots WHERE tenant = ? AND dataset = ? AND id = ?");
        let row = sql::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant.as_str())
            .bind(dataset)
            .bind(id)
            .fetch_optional(&self.sql)
            .await?;
        row.as_ref().map(describe).transpose()
    }

    /// At most `most` snapshots of the dataset of this name whose ids come after `after`, sorted by id.
    pub async fn snapshots(
        &self,
        tenant: &Tenant,
        dataset: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<Description>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM snapshots WHERE tenant = ? AND dataset = ? AND id > ? ORDER BY id LIMIT ?");
        let rows = sql::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant.as_str())
            .bind(dataset)
            .bind(after)
            .bind(most)
            .fetch_all(&self.sql)
            .await?;
        rows.iter().map(describe).collect()
    }

    /// The examples of a snapshot, in the order of their hashes, with the ids that the dataset knows now. `None` if there is
    /// no such snapshot.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is not what was written.
    pub async fn snapshot_examples(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        id: &str,
    ) -> Result<Option<Vec<ExampleRow>>, StoreError> {
        let row = sql::query("SELECT id, file, checksum FROM snapshots WHERE tenant = ? AND dataset = ? AND id = ?")
            .bind(tenant.as_str())
            .bind(&dataset.name)
            .bind(id)
            .fetch_optional(&self.sql)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut examples = self.read_snapshot(&row).await?;
        let rows =
            sql::query("SELECT hash, id FROM examples WHERE dataset = ?").bind(dataset.id).fetch_all(&self.sql).await?;
        let mut ids: HashMap<ContentHash, String> = HashMap::with_capacity(rows.len());
        for row in rows {
            ids.insert(super::examples::hash_of(&row)?, row.try_get("id")?);
        }
        for example in &mut examples {
            example.id = ids.remove(&example.hash).unwrap_or_default();
        }
        Ok(Some(examples))
    }

    /// The examples of the snapshot of a row, which has the columns `id`, `file` and `checksum`, without their ids.
    pub(super) async fn read_snapshot(&self, row: &Row) -> Result<Vec<ExampleRow>, StoreError> {
        let file = file(row)?;
        let bytes = self.get(&file, row.try_get("checksum")?).await?;
        decode(&bytes).map_err(damaged(&file))
    }

    /// Every snapshot's file that counts.
    pub(super) async fn snapshot_files(&self) -> Result<HashSet<String>, StoreError> {
        sql::query("SELECT DISTINCT id, file FROM snapshots").fetch_all(&self.sql).await?.iter().map(file).collect()
    }
}

/// Whether a dataset holds all of `examples`, which are in the order of their hashes.
async fn holds(sql: &mut Connection, dataset: i64, examples: &[ExampleRow]) -> Result<bool, StoreError> {
    let mut found = 0;
    let mut after: Vec<u8> = Vec::new();
    loop {
        let rows =
            sql::query("SELECT hash FROM examples WHERE dataset = ? AND split <> ? AND hash > ? ORDER BY hash LIMIT ?")
                .bind(dataset)
                .bind(UNLABELLED)
                .bind(&after[..])
                .bind(PAGE)
                .fetch_all(&mut *sql)
                .await?;
        for row in &rows {
            let hash = super::examples::hash_of(row)?;
            found += usize::from(examples.get(found).is_some_and(|wanted| wanted.hash == hash));
            after = hash.as_bytes().to_vec();
        }
        if found == examples.len() || rows.is_empty() {
            return Ok(found == examples.len());
        }
    }
}

fn damaged(file: &str) -> impl FnOnce(String) -> StoreError {
    let file = file.to_owned();
    move |reason| StoreError::Damaged { file, reason }
}

fn describe(row: &Row) -> Result<Description, StoreError> {
    Ok(Description {
        id: row.try_get("id")?,
        dataset: row.try_get("dataset")?,
        space: row.try_get("space")?,
        example_count: row.try_get::<i64, _>("examples")?.max(0) as u64,
        multi_label: row.try_get("multi_label")?,
        create_time: Some(timestamp(row.try_get("create_time")?)),
    })
}

/// Examples as safetensors: `hashes` `[n, 32]` and `splits` `[n]` of U8, `counts` `[n]` of U16 (labels of each example) and
/// `labels` `[sum of counts]` of U16, indices into the list of labels in the metadata.
fn encode(examples: &[ExampleRow]) -> Result<Vec<u8>, String> {
    let mut names: Vec<&str> = examples.iter().flat_map(|example| &example.labels).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let number: HashMap<&str, u16> = names.iter().enumerate().map(|(at, name)| (*name, at as u16)).collect();
    let hashes: Vec<u8> = examples.iter().flat_map(|example| *example.hash.as_bytes()).collect();
    let splits: Vec<u8> = examples.iter().map(|example| example.split as u8).collect();
    let counts: Vec<u8> = examples.iter().flat_map(|e| (e.labels.len() as u16).to_le_bytes()).collect();
    let labels = examples.iter().flat_map(|example| &example.labels);
    let labels: Vec<u8> =
        labels.flat_map(|label| number.get(label.as_str()).copied().unwrap_or(0).to_le_bytes()).collect();
    let view =
        |dtype, shape: Vec<usize>, bytes| TensorView::new(dtype, shape, bytes).map_err(|error| error.to_string());
    let n = examples.len();
    let tensors = [
        ("hashes", view(Dtype::U8, vec![n, HASH], &hashes)?),
        ("splits", view(Dtype::U8, vec![n], &splits)?),
        ("counts", view(Dtype::U16, vec![n], &counts)?),
        ("labels", view(Dtype::U16, vec![labels.len() / 2], &labels)?),
    ];
    let names = serde_json::to_string(&names).map_err(|error| error.to_string())?;
    safetensors::serialize(tensors, Some(HashMap::from([(LABELS.to_owned(), names)])))
        .map_err(|error| error.to_string())
}

fn decode(bytes: &[u8]) -> Result<Vec<ExampleRow>, String> {
    let wrong = || "it is no list of examples".to_owned();
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let names = metadata.metadata().as_ref().and_then(|pairs| pairs.get(LABELS)).ok_or_else(wrong)?;
    let names: Vec<String> = serde_json::from_str(names).map_err(|error| error.to_string())?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensor = |name: &str| tensors.tensor(name).map(|tensor| tensor.data()).map_err(|error| error.to_string());
    let numbers = |data: &[u8]| data.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two)).collect::<Vec<u16>>();
    let (hashes, splits) = (tensor("hashes")?, tensor("splits")?);
    let (counts, labels) = (numbers(tensor("counts")?), numbers(tensor("labels")?));
    if hashes.len() != splits.len() * HASH || counts.len() != splits.len() {
        return Err(wrong());
    }
    let mut labels = labels.into_iter();
    let example = |((hash, split), count): ((&[u8], &u8), u16)| {
        let named = labels.by_ref().take(usize::from(count));
        Some(ExampleRow {
            hash: ContentHash::from_slice(hash)?,
            id: String::new(),
            labels: named.map(|label| names.get(usize::from(label)).cloned()).collect::<Option<_>>()?,
            split: Split::try_from(i32::from(*split)).ok()?,
        })
    };
    let examples = hashes.chunks_exact(HASH).zip(splits).zip(counts).map(example);
    examples.collect::<Option<_>>().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<ExampleRow> {
        let row = |seed: u8, labels: &[&str], split| ExampleRow {
            hash: ContentHash::from_slice(blake3::hash(&[seed]).as_bytes()).unwrap(),
            id: String::new(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            split,
        };
        vec![row(1, &["a", "ü"], Split::Train), row(2, &[], Split::Test), row(3, &["a"], Split::Validation)]
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_gives_the_same_bytes() {
        let bytes = encode(&examples()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), examples());
        assert_eq!(bytes, encode(&examples()).unwrap());
        assert_eq!(decode(&encode(&[]).unwrap()).unwrap(), []);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err() && decode(b"").is_err());
    }
}
