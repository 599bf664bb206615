//! Files of embeddings, and which image is where.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use uuid::Uuid;

use super::{
    Store,
    datasets::DatasetRow,
    examples::{ExampleRow, hash_of},
    shelves::{Shelf, lost, shelve},
    sql::{self, Builder, value::Value},
    views::ViewKey,
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
    /// Bytes of the embeddings that it brings.
    pub fn bytes(&self) -> usize {
        let numbers = self.embedding.iter().chain(&self.views).map(Vec::len).sum::<usize>();
        numbers * size_of::<f32>()
    }

    /// Each embedding that it brings.
    pub(super) fn rows(&self) -> impl Iterator<Item = (ViewKey, &[f32])> {
        let key = |view: usize| ViewKey { hash: self.row.hash, view: view as u32 };
        let plain = self.embedding.as_deref().map(|row| (key(0), row));
        plain.into_iter().chain(self.views.iter().enumerate().map(move |(at, row)| (key(at + 1), row.as_slice())))
    }
}

/// Embeddings of one segment.
#[derive(Debug)]
pub struct SegmentRows {
    /// The position of each among those that were asked for.
    pub at: Vec<usize>,
    /// The embeddings, `[at, dimension]`.
    pub numbers: Vec<f32>,
}

/// Segments that are read at once: a bucket takes its time for each. They are a few megabytes each.
const READS: usize = 8;

/// The tensor of a segment.
const TENSOR: &str = "embeddings";

/// The file of a segment.
pub(super) fn file(segment: &str) -> String {
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
        let mut query = Builder::new("SELECT hash FROM embeddings WHERE tenant = ");
        query.push_bind(tenant.as_str()).push(" AND space = ").push_bind(space);
        push_hashes(&mut query, "hash", hashes);
        let rows = query.build().fetch_all(&self.sql).await?;
        rows.iter().map(hash_of).collect()
    }

    /// Write embeddings to a file, which does not count yet.
    pub(super) async fn write_segment(
        &self,
        dataset: &DatasetRow,
        rows: &[(ViewKey, &[f32])],
    ) -> Result<Segment, StoreError> {
        let numbers: Vec<&[f32]> = rows.iter().map(|(_, row)| *row).collect();
        let (id, checksum) = self.put_segment(&dataset.space, dataset.dimension as usize, &numbers).await?;
        Ok(Segment { id, checksum, keys: rows.iter().map(|(key, _)| *key).collect() })
    }

    /// Write rows to a file; gives back the segment's id and its checksum.
    pub(super) async fn put_segment(
        &self,
        space: &str,
        dimension: usize,
        rows: &[&[f32]],
    ) -> Result<(String, [u8; 32]), StoreError> {
        let id = Uuid::now_v7().to_string();
        let damaged =
            |error: safetensors::SafeTensorError| StoreError::Damaged { file: file(&id), reason: error.to_string() };
        let mut data = Vec::with_capacity(rows.len() * dimension * size_of::<f32>());
        rows.iter().for_each(|row| data.extend_from_slice(&bytes(row)));
        let tensor = TensorView::new(Dtype::F32, vec![rows.len(), dimension], &data).map_err(damaged)?;
        let metadata = HashMap::from([("space".to_owned(), space.to_owned())]);
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
        let mut features = vec![0.0; keys.len() * dimension];
        let mut missing = keys.len();
        let mut segments = pin!(self.by_segment(tenant, dataset, keys).await?);
        while let Some(SegmentRows { at, numbers }) = segments.try_next().await? {
            missing -= at.len();
            for (at, row) in at.into_iter().zip(numbers.chunks_exact(dimension)) {
                features[at * dimension..(at + 1) * dimension].copy_from_slice(row);
            }
        }
        if missing > 0 {
            return Err(lost(missing, dataset));
        }
        Ok(features)
    }

    /// The embeddings of those of `keys` that the store has, a segment at a time: each is read once, and few are in memory.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names a segment that is not what was written.
    pub async fn by_segment(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        keys: &[ViewKey],
    ) -> Result<impl Stream<Item = Result<SegmentRows, StoreError>> + Send + use<'_>, StoreError> {
        let dimension = dataset.dimension as usize;
        let mut places = self.places(tenant, dataset, keys).await?;
        places.sort_unstable_by(|a, b| (&a.segment, a.at).cmp(&(&b.segment, b.at)));
        let read = move |shelf: Shelf| async move {
            let numbers = self.read_shelf(&shelf).await?;
            Ok(SegmentRows { at: shelf.wanted, numbers })
        };
        Ok(stream::iter(shelve(&places, dimension)).map(read).buffered(READS))
    }

    pub(super) async fn read_segment(
        &self,
        id: &str,
        checksum: &[u8],
        dimension: usize,
    ) -> Result<Vec<f32>, StoreError> {
        let (numbers, columns) = self.read_whole_segment(id, checksum).await?;
        if columns != dimension {
            let reason = format!("its rows are of {columns} numbers; {dimension} are expected");
            return Err(StoreError::Damaged { file: file(id), reason });
        }
        Ok(numbers)
    }

    /// The numbers of a segment, and how many a row has.
    pub(super) async fn read_whole_segment(&self, id: &str, checksum: &[u8]) -> Result<(Vec<f32>, usize), StoreError> {
        let file = file(id);
        let damaged = |reason: String| StoreError::Damaged { file: file.clone(), reason };
        let bytes = self.get(&file, checksum).await?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tensor = tensors.tensor(TENSOR).map_err(|error| damaged(error.to_string()))?;
        match (tensor.shape(), tensor.dtype()) {
            (&[_, columns], Dtype::F32) => Ok((floats(tensor.data()), columns)),
            (shape, dtype) => Err(damaged(format!("it holds {dtype:?} {shape:?}; F32 [rows, dimension] is expected"))),
        }
    }

    /// Every segment file that counts.
    pub(super) async fn segment_files(&self) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = sql::query_scalar("SELECT id FROM segments").fetch_all(&self.sql).await?;
        Ok(ids.iter().map(|id| file(id)).collect())
    }
}

/// A segment's file that was written.
#[derive(Debug)]
pub(super) struct Segment {
    /// What it is called.
    pub id: String,
    /// BLAKE3 of the file.
    pub checksum: [u8; 32],
    /// The image, or the view of one, of each row.
    pub keys: Vec<ViewKey>,
}

/// ` AND column IN (…)`.
pub(super) fn push_hashes(query: &mut Builder<'_>, column: &'static str, hashes: &[ContentHash]) {
    if hashes.is_empty() {
        // PostgreSQL knows no empty list.
        query.push(" AND 1 = 0");
        return;
    }
    query.push(" AND ").push(column).push(" IN ");
    query.push_list(hashes.iter().map(|hash| Value::from(hash.as_bytes().to_vec())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        names::Name,
        store::{
            add::Added,
            place::{Place, in_both},
        },
    };
    use graft_proto::v1::Split;

    in_both!(examples_are_stored_once_and_embeddings_outlive_a_restart);

    fn example(seed: u8, label: &str, embedded: bool) -> NewExample {
        let hash = ContentHash::from_slice(blake3::hash(&[seed]).as_bytes()).unwrap();
        let row = ExampleRow { hash, id: format!("{seed}"), labels: vec![label.to_owned()], split: Split::Train };
        NewExample { row, embedding: embedded.then(|| vec![f32::from(seed), 1.0, 2.0]), views: Vec::new() }
    }

    async fn examples_are_stored_once_and_embeddings_outlive_a_restart(place: Place) {
        let (tenant, name) = (Tenant::default(), Name::parse("name", "d").unwrap());
        let store = place.open().await;
        assert!(store.create_dataset(&tenant, &name, "net", "net@0", 3, false).await.unwrap());
        assert!(!store.create_dataset(&tenant, &name, "net", "net@0", 3, false).await.unwrap());
        let dataset = store.dataset(&tenant, &name).await.unwrap().unwrap();
        let all = [example(1, "a", true), example(2, "b", true)];
        assert_eq!(store.add(&tenant, &dataset, &all).await.unwrap(), Some(vec![Added::New; 2]));
        let again = [example(2, "b", false), example(3, "a", true)];
        assert_eq!(store.add(&tenant, &dataset, &again).await.unwrap(), Some(vec![Added::Known, Added::New]));
        drop(store);

        let store = place.open().await;
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
