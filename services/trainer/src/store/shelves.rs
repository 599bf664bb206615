//! Embeddings a segment at a time, so that no more than that is in memory.

use super::{Store, datasets::DatasetRow, places::Place, segments::file, views::ViewKey};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// Embeddings that lie in one segment.
#[derive(Clone, Debug)]
pub struct Shelf {
    segment: String,
    checksum: Vec<u8>,
    dimension: usize,
    /// Which of those that were asked for they are.
    pub wanted: Vec<usize>,
    /// The row of each in the segment.
    rows: Vec<usize>,
}

impl Store {
    /// Where the embeddings of `hashes` are, segment by segment, in the order of the segments' ids: the older first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the database has lost one.
    pub async fn shelves(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        hashes: &[ContentHash],
    ) -> Result<Vec<Shelf>, StoreError> {
        let keys: Vec<ViewKey> = hashes.iter().map(|hash| ViewKey { hash: *hash, view: 0 }).collect();
        let mut places = self.places(tenant, dataset, &keys).await?;
        if places.len() < keys.len() {
            return Err(lost(keys.len() - places.len(), dataset));
        }
        places.sort_unstable_by(|a, b| (&a.segment, a.row).cmp(&(&b.segment, b.row)));
        Ok(shelve(&places, dataset.dimension as usize))
    }

    /// The embeddings of a shelf, `[wanted, dimension]`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the segment is not what was written.
    pub async fn read_shelf(&self, shelf: &Shelf) -> Result<Vec<f32>, StoreError> {
        let Shelf { segment, checksum, dimension, rows, .. } = shelf;
        let numbers = self.read_segment(segment, checksum, *dimension).await?;
        let mut embeddings = Vec::with_capacity(rows.len() * dimension);
        for row in rows {
            let row = numbers.get(row * dimension..(row + 1) * dimension).ok_or_else(|| StoreError::Damaged {
                file: file(segment),
                reason: "it has fewer rows than were written".into(),
            })?;
            embeddings.extend_from_slice(row);
        }
        Ok(embeddings)
    }
}

/// The shelves of `places`, those of one segment lying together; on each, they stay in their order.
pub(super) fn shelve(places: &[Place], dimension: usize) -> Vec<Shelf> {
    let of_segment = |places: &[Place]| {
        let first = places.first()?;
        Some(Shelf {
            segment: first.segment.clone(),
            checksum: first.checksum.clone(),
            dimension,
            wanted: places.iter().map(|place| place.at).collect(),
            rows: places.iter().map(|place| place.row).collect(),
        })
    };
    places.chunk_by(|a, b| a.segment == b.segment).filter_map(of_segment).collect()
}

/// The database has lost so many embeddings that `dataset` needs.
pub(super) fn lost(missing: usize, dataset: &DatasetRow) -> StoreError {
    StoreError::Damaged {
        file: "graft.db".into(),
        reason: format!("{missing} of the embeddings that `{}` needs are not there", dataset.name),
    }
}
