//! Where the embeddings of images and of views are.

use std::collections::{HashMap, HashSet};

use super::{Store, datasets::DatasetRow, examples::hash_of, segments::push_hashes, sql::Builder, views::ViewKey};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// Images that are looked up together.
const CHUNK: usize = 500;

/// Where an embedding is.
pub(super) struct Place {
    /// Its position among those that were asked for.
    pub at: usize,
    /// The segment.
    pub segment: String,
    /// The row of the segment.
    pub row: usize,
    /// The segment's.
    pub checksum: Vec<u8>,
}

impl Store {
    /// Where the embeddings of those of `keys` are that the store has.
    pub(super) async fn places(
        &self,
        tenant: &Tenant,
        dataset: &DatasetRow,
        keys: &[ViewKey],
    ) -> Result<Vec<Place>, StoreError> {
        let position: HashMap<ViewKey, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let plain: Vec<ContentHash> = keys.iter().filter(|key| key.view == 0).map(|key| key.hash).collect();
        let viewed: HashSet<ContentHash> = keys.iter().filter(|key| key.view > 0).map(|key| key.hash).collect();
        let viewed: Vec<ContentHash> = viewed.into_iter().collect();
        let mut places = Vec::with_capacity(keys.len());
        for (hashes, table) in [(plain, "embeddings"), (viewed, "view_embeddings")] {
            let of_views = table == "view_embeddings";
            let view = if of_views { "m.view" } else { "0" };
            for chunk in hashes.chunks(CHUNK) {
                let mut query = Builder::new(format!(
                    "SELECT m.hash AS hash, {view} AS view, m.segment AS segment, m.row AS row, s.checksum AS checksum
                     FROM {table} m JOIN segments s ON s.id = m.segment WHERE m.tenant = "
                ));
                query.push_bind(tenant.as_str()).push(" AND m.space = ").push_bind(&dataset.space);
                if of_views {
                    query.push(" AND m.recipe = ").push_bind(dataset.recipe());
                }
                push_hashes(&mut query, "m.hash", chunk);
                for row in query.build().fetch_all(&self.sql).await? {
                    let view = row.try_get::<i64, _>("view")? as u32;
                    let Some(at) = position.get(&ViewKey { hash: hash_of(&row)?, view }) else { continue };
                    let (segment, checksum) = (row.try_get("segment")?, row.try_get("checksum")?);
                    places.push(Place { at: *at, segment, row: row.try_get::<i64, _>("row")? as usize, checksum });
                }
            }
        }
        Ok(places)
    }
}
