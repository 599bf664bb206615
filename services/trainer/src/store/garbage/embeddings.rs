//! Embeddings that no example and no snapshot refers to.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Collected, files::Sizes};
use crate::{
    content::ContentHash,
    error::StoreError,
    store::{
        Store,
        examples::{ROWS_AT_ONCE, hash_of},
        segments::push_hashes,
        sql::{self, Builder, Row, value::Value},
    },
};

/// Embeddings without an example that are looked at together: the snapshots are read for each so many.
const PAGE: u32 = 100_000;

/// An embedding without an example, as it was when it was read.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    segment: String,
    uses: i64,
}

/// Tenant and space.
type Of = (String, String);

/// How many rows of each segment are gone.
pub type Gone = HashMap<String, u64>;

impl Store {
    /// Gives back how many rows of each segment would be gone, if that is only told.
    pub(super) async fn collect_embeddings(
        &self,
        sizes: &Sizes,
        dry_run: bool,
        to: &mut Collected,
    ) -> Result<Gone, StoreError> {
        let mut after = (String::new(), String::new(), Vec::new());
        let mut gone = Gone::new();
        loop {
            let rows = self.embeddings_without_an_example(&after).await?;
            let Some(last) = rows.last() else { break };
            after = (last.try_get("tenant")?, last.try_get("space")?, last.try_get("hash")?);
            let mut candidates: BTreeMap<Of, HashMap<ContentHash, Candidate>> = BTreeMap::new();
            for row in &rows {
                let of = (row.try_get("tenant")?, row.try_get("space")?);
                let candidate = Candidate { segment: row.try_get("segment")?, uses: row.try_get("uses")? };
                candidates.entry(of).or_default().insert(hash_of(row)?, candidate);
            }
            // After the candidates.
            for (of, mut candidates) in candidates {
                self.spare_those_of_snapshots(&of, &mut candidates).await?;
                let candidates: Vec<(ContentHash, Candidate)> = candidates.into_iter().collect();
                for some in candidates.chunks(ROWS_AT_ONCE) {
                    for (segment, rows) in self.remove_embeddings(&of, some, dry_run).await? {
                        to.embeddings += rows;
                        to.embedding_bytes += rows * sizes.row(&segment);
                        *gone.entry(segment).or_default() += rows;
                    }
                }
            }
        }
        Ok(if dry_run { gone } else { Gone::new() })
    }

    async fn embeddings_without_an_example(&self, after: &(String, String, Vec<u8>)) -> Result<Vec<Row>, StoreError> {
        let rows = sql::query(
            "SELECT m.tenant AS tenant, m.space AS space, m.hash AS hash, m.segment AS segment, m.uses AS uses
             FROM embeddings m WHERE (m.tenant, m.space, m.hash) > (?, ?, ?) AND NOT EXISTS (
                 SELECT 1 FROM examples e JOIN datasets d ON d.id = e.dataset
                 WHERE e.hash = m.hash AND d.tenant = m.tenant AND d.space = m.space)
             ORDER BY m.tenant, m.space, m.hash LIMIT ?",
        )
        .bind(&after.0)
        .bind(&after.1)
        .bind(&after.2[..])
        .bind(PAGE)
        .fetch_all(&self.sql)
        .await?;
        Ok(rows)
    }

    /// Take those out that a snapshot names.
    async fn spare_those_of_snapshots(
        &self,
        (tenant, space): &Of,
        candidates: &mut HashMap<ContentHash, Candidate>,
    ) -> Result<(), StoreError> {
        let rows = sql::query("SELECT id, file, checksum FROM snapshots WHERE tenant = ? AND space = ?")
            .bind(tenant)
            .bind(space)
            .fetch_all(&self.sql)
            .await?;
        let mut read = HashSet::new();
        for row in &rows {
            if candidates.is_empty() {
                return Ok(());
            }
            // The same content may be a snapshot of several datasets.
            if read.insert(row.try_get::<String, _>("id")?) {
                for example in self.read_snapshot(row).await? {
                    candidates.remove(&example.hash);
                }
            }
        }
        Ok(())
    }

    /// Remove embeddings that are as they were, with those of their views. Gives back the rows that went, by segment.
    async fn remove_embeddings(
        &self,
        (tenant, space): &Of,
        candidates: &[(ContentHash, Candidate)],
        dry_run: bool,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let mut gone: Vec<(String, u64)> = Vec::new();
        let mut write = self.write().await?;
        let hashes: Vec<ContentHash> = if dry_run {
            gone.extend(candidates.iter().map(|(_, candidate)| (candidate.segment.clone(), 1)));
            candidates.iter().map(|(hash, _)| *hash).collect()
        } else {
            let mut delete = Builder::new("DELETE FROM embeddings WHERE tenant = ");
            delete.push_bind(tenant).push(" AND space = ").push_bind(space).push(" AND (");
            for (at, (hash, Candidate { segment, uses })) in candidates.iter().enumerate() {
                delete.push(if at > 0 { " OR (hash = " } else { "(hash = " });
                delete.push_bind(Value::from(&hash.as_bytes()[..])).push(" AND segment = ").push_bind(segment);
                delete.push(" AND uses = ").push_bind(*uses).push(")");
            }
            delete.push(") RETURNING hash, segment");
            let rows = delete.build().fetch_all(&mut *write).await?;
            for row in &rows {
                gone.push((row.try_get("segment")?, 1));
            }
            rows.iter().map(hash_of).collect::<Result<_, _>>()?
        };
        let mut views = Builder::new("SELECT segment, COUNT(*) AS n FROM view_embeddings WHERE tenant = ");
        views.push_bind(tenant).push(" AND space = ").push_bind(space);
        push_hashes(&mut views, "hash", &hashes);
        views.push(" GROUP BY segment");
        for row in views.build().fetch_all(&mut *write).await? {
            gone.push((row.try_get("segment")?, row.try_get::<i64, _>("n")?.max(0) as u64));
        }
        if !dry_run {
            let mut delete = Builder::new("DELETE FROM view_embeddings WHERE tenant = ");
            delete.push_bind(tenant).push(" AND space = ").push_bind(space);
            push_hashes(&mut delete, "hash", &hashes);
            delete.build().execute(&mut *write).await?;
            write.commit().await?;
        }
        Ok(gone)
    }
}
