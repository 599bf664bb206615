//! Segments of which nothing is needed are removed; those of which less than half is are written anew without the rest.

use std::collections::BTreeMap;

use super::{Collected, embeddings::Gone};
use crate::{
    error::StoreError,
    store::{
        Store,
        retry::{PATIENCE, patiently},
        sql::{self, Row},
    },
};

/// Segments that are looked at together.
const PAGE: u32 = 1000;
/// Rows of a segment that is written anew, at about the most; as an import's.
const ROWS: u64 = 512;

/// A segment with rows that are needed.
#[derive(Clone, Debug)]
struct Sparse {
    id: String,
    checksum: Vec<u8>,
    live: u64,
}

/// Where an embedding is to be found: the key of its row.
struct Moved {
    /// The segment that it was in.
    from: String,
    /// Nothing for an image; the recipe and the view for a view of one.
    view: Option<(String, i64)>,
    hash: Vec<u8>,
}

/// Tenant and space.
type Of = (String, String);

impl Store {
    /// `gone` are rows that count as gone, though they are there: where it is only told what would be done.
    pub(super) async fn collect_segments(
        &self,
        gone: &Gone,
        dry_run: bool,
        to: &mut Collected,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        let mut sparse: BTreeMap<Of, Vec<Sparse>> = BTreeMap::new();
        loop {
            let rows = self.segments_after(&after).await?;
            let Some(last) = rows.last() else { break };
            after = last.try_get("id")?;
            for row in &rows {
                let id: String = row.try_get("id")?;
                let (all, live): (i64, i64) = (row.try_get("rows")?, row.try_get("live")?);
                let (all, live) = (all.max(0) as u64, live.max(0) as u64);
                let live = live.saturating_sub(gone.get(&id).copied().unwrap_or_default());
                if live == 0 {
                    to.segments += if dry_run { 1 } else { self.remove_segment(&id).await? };
                } else if live * 2 < all {
                    let of = (row.try_get("tenant")?, row.try_get("space")?);
                    sparse.entry(of).or_default().push(Sparse { id, checksum: row.try_get("checksum")?, live });
                }
            }
        }
        for (of, sparse) in sparse {
            for some in batches(sparse) {
                to.rewritten += some.len() as u64;
                if !dry_run {
                    self.rewrite(&of, &some).await?;
                    for old in &some {
                        self.remove_segment(&old.id).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn segments_after(&self, after: &str) -> Result<Vec<Row>, StoreError> {
        let rows = sql::query(
            "SELECT s.id AS id, s.tenant AS tenant, s.space AS space, s.rows AS rows, s.checksum AS checksum,
                 (SELECT COUNT(*) FROM embeddings m WHERE m.segment = s.id)
                 + (SELECT COUNT(*) FROM view_embeddings v WHERE v.segment = s.id) AS live
             FROM segments s WHERE s.id > ? ORDER BY s.id LIMIT ?",
        )
        .bind(after)
        .bind(PAGE)
        .fetch_all(&self.sql)
        .await?;
        Ok(rows)
    }

    /// Do not count a segment any more, if nothing is in it.
    async fn remove_segment(&self, id: &str) -> Result<u64, StoreError> {
        let done = sql::query(
            "DELETE FROM segments WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM embeddings WHERE segment = ?1)
             AND NOT EXISTS (SELECT 1 FROM view_embeddings WHERE segment = ?1)",
        )
        .bind(id)
        .execute(&self.sql)
        .await?;
        Ok(done.rows_affected())
    }

    /// Write what is needed of some segments into a new one.
    async fn rewrite(&self, (tenant, space): &Of, segments: &[Sparse]) -> Result<(), StoreError> {
        let (mut moved, mut numbers, mut dimension) = (Vec::new(), Vec::new(), 0);
        for Sparse { id, checksum, .. } in segments {
            let (all, columns) = self.read_whole_segment(id, checksum).await?;
            dimension = columns;
            let rows = sql::query(
                "SELECT m.hash AS hash, '' AS recipe, 0 AS view, m.row AS row FROM embeddings m WHERE m.segment = ?1
                 UNION ALL SELECT v.hash, v.recipe, v.view, v.row FROM view_embeddings v WHERE v.segment = ?1",
            )
            .bind(id)
            .fetch_all(&self.sql)
            .await?;
            for row in rows {
                let start = row.try_get::<i64, _>("row")?.max(0) as usize * columns;
                let there = all.get(start..start + columns).ok_or_else(|| StoreError::Damaged {
                    file: format!("segment {id}"),
                    reason: "it has fewer rows than were written".into(),
                })?;
                numbers.extend_from_slice(there);
                let (view, recipe) = (row.try_get::<i64, _>("view")?, row.try_get("recipe")?);
                let view = (view > 0).then_some((recipe, view));
                moved.push(Moved { from: id.clone(), view, hash: row.try_get("hash")? });
            }
        }
        // All may have gone since they were counted.
        if moved.is_empty() {
            return Ok(());
        }
        let rows: Vec<&[f32]> = numbers.chunks_exact(dimension.max(1)).collect();
        let (id, checksum) = self.put_segment(space, dimension, &rows).await?;
        patiently!(PATIENCE, self.move_rows(tenant, space, &id, &checksum, &moved))
    }

    /// Count the new segment, and say of each row that it is there, if it is still where it was.
    async fn move_rows(
        &self,
        tenant: &str,
        space: &str,
        id: &str,
        checksum: &[u8],
        moved: &[Moved],
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sql::query(
            "INSERT INTO segments (id, tenant, space, rows, checksum) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(tenant)
        .bind(space)
        .bind(moved.len() as i64)
        .bind(checksum)
        .execute(&mut *write)
        .await?;
        for (at, Moved { from, view, hash }) in moved.iter().enumerate() {
            let query = match view {
                None => sql::query(
                    "UPDATE embeddings SET segment = ?, row = ? WHERE tenant = ? AND space = ? AND hash = ? AND segment = ?",
                ),
                Some(_) => sql::query(
                    "UPDATE view_embeddings SET segment = ?, row = ?
                     WHERE tenant = ? AND space = ? AND hash = ? AND segment = ? AND recipe = ? AND view = ?",
                ),
            };
            let query = query.bind(id).bind(at as i64).bind(tenant).bind(space).bind(&hash[..]).bind(from);
            let query = match view {
                Some((recipe, view)) => query.bind(recipe).bind(*view),
                None => query,
            };
            query.execute(&mut *write).await?;
        }
        Ok(write.commit().await?)
    }
}

/// Segments that are written anew together.
fn batches(sparse: Vec<Sparse>) -> Vec<Vec<Sparse>> {
    let (mut batches, mut rows) = (Vec::new(), ROWS);
    for one in sparse {
        if rows + one.live > ROWS {
            batches.push(Vec::new());
            rows = 0;
        }
        rows += one.live;
        if let Some(last) = batches.last_mut() {
            last.push(one);
        }
    }
    batches
}
