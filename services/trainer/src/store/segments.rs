//! Files of embeddings, and which image is where.

use std::collections::{HashMap, HashSet};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::{
    Store,
    datasets::DatasetRow,
    examples::{ExampleRow, insert_labels},
    places::Place,
    views::{self, ViewKey},
};
use crate::{
    content::ContentHash,
    error::StoreError,
    fit::head::{bytes, floats},
    names::Tenant,
};

/// An example to store.
#[derive(Clone, Debug)]
pub struct NewExample {
    /// The example.
    pub row: ExampleRow,
    /// Its embedding; `None` if the store has it already.
    pub embedding: Option<Vec<f32>>,
    /// Those of its views, from the first on; none if the dataset has no views, or the store has them already.
    pub views: Vec<Vec<f32>>,
}

impl NewExample {
    /// Each embedding that it brings.
    fn rows(&self) -> impl Iterator<Item = (ViewKey, &[f32])> {
        let key = |view: usize| ViewKey { hash: self.row.hash, view: view as u32 };
        let plain = self.embedding.as_deref().map(|row| (key(0), row));
        plain.into_iter().chain(self.views.iter().enumerate().map(move |(at, row)| (key(at + 1), row.as_slice())))
    }
}

/// The tensor of a segment.
const TENSOR: &str = "embeddings";

fn file(segment: &str) -> String {
    format!("segments/{segment}.safetensors")
}

impl Store {
    /// Which of these images the store has embedded already. Ask for a few hundred at once, at the most.
    pub async fn embedded(
        &self,
        tenant: &Tenant,
        space: &str,
        hashes: &[ContentHash],
    ) -> Result<HashSet<ContentHash>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT hash FROM embeddings WHERE tenant = ");
        query.push_bind(tenant.as_str()).push(" AND space = ").push_bind(space);
        push_hashes(&mut query, "hash", hashes);
        let rows = query.build().persistent(false).fetch_all(&self.sql).await?;
        Ok(rows.iter().filter_map(|row| ContentHash::from_slice(row.get("hash"))).collect())
    }

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
        let mut write = self.write().await?;
        let there: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT augmentation FROM datasets WHERE id = $1")
            .bind(dataset.id)
            .fetch_optional(&mut *write)
            .await?;
        match there {
            Some(augmentation) if views::decode(augmentation.clone())? == dataset.augmentation => {}
            _ => return Ok(None),
        }
        if let Some((segment, checksum)) = &segment {
            sqlx::query("INSERT INTO segments (id, tenant, space, rows, checksum) VALUES (?, ?, ?, ?, ?)")
                .bind(segment)
                .bind(tenant.as_str())
                .bind(&dataset.space)
                .bind(embedded.len() as i64)
                .bind(&checksum[..])
                .execute(&mut *write)
                .await?;
            for (row, (key, _)) in embedded.iter().enumerate() {
                views::place(&mut write, tenant, dataset, *key, segment, row as i64).await?;
            }
        }
        let mut new = Vec::with_capacity(examples.len());
        for example in examples {
            let done = sqlx::query(
                "INSERT INTO examples (dataset, tenant, hash, id, split) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(dataset.id)
            .bind(tenant.as_str())
            .bind(&example.row.hash.as_bytes()[..])
            .bind(&example.row.id)
            .bind(example.row.split as i32)
            .execute(&mut *write)
            .await?;
            let is_new = done.rows_affected() == 1;
            if is_new {
                let ExampleRow { hash, labels, .. } = &example.row;
                insert_labels(&mut write, tenant, dataset.id, hash, labels).await?;
            }
            new.push(is_new);
        }
        write.commit().await?;
        Ok(Some(new))
    }

    async fn write_segment(
        &self,
        dataset: &DatasetRow,
        rows: &[(ViewKey, &[f32])],
    ) -> Result<(String, [u8; 32]), StoreError> {
        let id = Uuid::now_v7().to_string();
        let damaged =
            |error: safetensors::SafeTensorError| StoreError::Damaged { file: file(&id), reason: error.to_string() };
        let data: Vec<u8> = rows.iter().flat_map(|(_, row)| bytes(row)).collect();
        let shape = vec![rows.len(), dataset.dimension as usize];
        let tensor = TensorView::new(Dtype::F32, shape, &data).map_err(damaged)?;
        let metadata = HashMap::from([("space".to_owned(), dataset.space.clone())]);
        let segment = safetensors::serialize([(TENSOR, tensor)], Some(metadata)).map_err(damaged)?;
        let checksum = *blake3::hash(&segment).as_bytes();
        self.put(&file(&id), segment).await?;
        Ok((id, checksum))
    }

    /// The embeddings of `hashes`, `[hashes, dimension]` in their order, each segment being read once.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names a segment that is not what was written, or the database if it has lost one.
    pub async fn embeddings(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        hashes: &[ContentHash],
    ) -> Result<Vec<f32>, StoreError> {
        let keys: Vec<ViewKey> = hashes.iter().map(|hash| ViewKey { hash: *hash, view: 0 }).collect();
        self.view_embeddings(tenant, dataset, &keys).await
    }

    /// The same for images and views of them, as `dataset` makes them: `[keys, dimension]`.
    ///
    /// # Errors
    /// The same.
    pub async fn view_embeddings(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        keys: &[ViewKey],
    ) -> Result<Vec<f32>, StoreError> {
        let dimension = dataset.dimension as usize;
        let mut places = self.places(tenant, dataset, keys).await?;
        places.sort_unstable_by(|a, b| (&a.segment, a.at).cmp(&(&b.segment, b.at)));
        let missing = keys.len() - places.len();
        let mut features = vec![0.0; keys.len() * dimension];
        let mut open: Option<(&str, Vec<f32>)> = None;
        for Place { at, segment, row, checksum } in &places {
            if open.as_ref().is_none_or(|(id, _)| id != segment) {
                open = Some((segment, self.read_segment(segment, checksum, dimension).await?));
            }
            let start = row * dimension;
            let numbers = open.as_ref().and_then(|(_, numbers)| numbers.get(start..start + dimension));
            let numbers = numbers.ok_or_else(|| StoreError::Damaged {
                file: file(segment),
                reason: "it has fewer rows than were written".into(),
            })?;
            features[at * dimension..(at + 1) * dimension].copy_from_slice(numbers);
        }
        if missing > 0 {
            return Err(StoreError::Damaged {
                file: "graft.db".into(),
                reason: format!("{missing} of the embeddings that `{}` needs are not there", dataset.name),
            });
        }
        Ok(features)
    }

    async fn read_segment(&self, id: &str, checksum: &[u8], dimension: usize) -> Result<Vec<f32>, StoreError> {
        let file = file(id);
        let damaged = |reason: String| StoreError::Damaged { file: file.clone(), reason };
        let bytes = self.get(&file, checksum).await?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tensor = tensors.tensor(TENSOR).map_err(|error| damaged(error.to_string()))?;
        match (tensor.shape(), tensor.dtype()) {
            (&[_, columns], Dtype::F32) if columns == dimension => Ok(floats(tensor.data())),
            (shape, dtype) => {
                Err(damaged(format!("it holds {dtype:?} {shape:?}; F32 [rows, {dimension}] is expected")))
            }
        }
    }

    /// Every segment file that counts.
    pub(super) async fn segment_files(&self) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM segments").fetch_all(&self.sql).await?;
        Ok(ids.iter().map(|id| file(id)).collect())
    }
}

/// ` AND column IN (…)`.
pub(super) fn push_hashes(query: &mut QueryBuilder<Sqlite>, column: &'static str, hashes: &[ContentHash]) {
    query.push(" AND ").push(column).push(" IN (");
    let mut list = query.separated(", ");
    for hash in hashes {
        list.push_bind(hash.as_bytes().to_vec());
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Split;
    use tempfile::TempDir;

    use super::*;
    use crate::names::Name;

    fn example(seed: u8, label: &str, embedded: bool) -> NewExample {
        let hash = ContentHash::from_slice(blake3::hash(&[seed]).as_bytes()).unwrap();
        let row = ExampleRow { hash, id: format!("{seed}"), labels: vec![label.to_owned()], split: Split::Train };
        NewExample { row, embedding: embedded.then(|| vec![f32::from(seed), 1.0, 2.0]), views: Vec::new() }
    }

    #[tokio::test]
    async fn examples_are_stored_once_and_embeddings_outlive_a_restart() {
        let folder = TempDir::new().unwrap();
        let (tenant, name) = (Tenant::default(), Name::parse("name", "d").unwrap());
        let store = Store::open(folder.path()).await.unwrap();
        assert!(store.create_dataset(&tenant, &name, "net", "net@0", 3, false).await.unwrap());
        assert!(!store.create_dataset(&tenant, &name, "net", "net@0", 3, false).await.unwrap());
        let dataset = store.dataset(&tenant, &name).await.unwrap().unwrap();
        let all = [example(1, "a", true), example(2, "b", true)];
        assert_eq!(store.add(&tenant, &dataset, &all).await.unwrap(), Some(vec![true, true]));
        let again = [example(2, "b", false), example(3, "a", true)];
        assert_eq!(store.add(&tenant, &dataset, &again).await.unwrap(), Some(vec![false, true]));
        drop(store);

        let store = Store::open(folder.path()).await.unwrap();
        let rows = store.examples(dataset.id).await.unwrap();
        assert_eq!(rows.len(), 3);
        let hashes = [example(3, "", false).row.hash, example(1, "", false).row.hash];
        assert_eq!(store.embeddings(&tenant, &dataset, &hashes).await.unwrap(), [3.0, 1.0, 2.0, 1.0, 1.0, 2.0]);
        let unknown = example(9, "", false).row.hash;
        let asked = [hashes[0], unknown];
        assert_eq!(store.embedded(&tenant, "net@0", &asked).await.unwrap(), HashSet::from([hashes[0]]));
        assert!(store.embedded(&tenant, "net@1", &asked).await.unwrap().is_empty());
        let known = store.known(dataset.id, &asked).await.unwrap();
        assert_eq!(
            (known.len(), &known[&hashes[0]].id[..], &known[&hashes[0]].labels[..]),
            (1, "3", &["a".into()][..])
        );
        let lost = store.embeddings(&tenant, &dataset, &asked).await.unwrap_err().to_string();
        assert!(lost.starts_with("graft.db: 1 of"), "{lost}");
        assert!(store.delete_dataset(&tenant, &name).await.unwrap());
        assert_eq!(store.add(&tenant, &dataset, &all).await.unwrap(), None, "the dataset is gone");
        assert_eq!(store.examples(dataset.id).await.unwrap().len(), 0);
    }
}
