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
        sql::{self, Builder, value::Value},
    },
};

/// Embeddings that are looked at together.
const PAGE: u32 = 50_000;
/// Candidates that are removed together: the snapshots are read for each so many.
const TOGETHER: usize = 100_000;

/// An embedding without an example, as it was when it was read.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    segment: String,
    uses: i64,
}

/// Tenant and space.
type Of = (String, String);

/// Candidates by where they are.
type Candidates = BTreeMap<Of, HashMap<ContentHash, Candidate>>;

/// The key of an embedding: tenant, space and hash. Embeddings are looked at in its order.
type Key = (String, String, Vec<u8>);

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
        let (mut after, mut gone) = (Key::default(), Gone::new());
        let mut candidates = Candidates::new();
        loop {
            let more = self.look_further(&mut after, &mut candidates).await?;
            if !more || candidates.values().map(HashMap::len).sum::<usize>() >= TOGETHER {
                for (of, candidates) in std::mem::take(&mut candidates) {
                    self.remove_candidates(&of, candidates, sizes, dry_run, &mut gone, to).await?;
                }
            }
            if !more {
                return Ok(if dry_run { gone } else { Gone::new() });
            }
        }
    }

    /// Add the candidates among the next embeddings. `false` if there are no more embeddings.
    async fn look_further(&self, after: &mut Key, candidates: &mut Candidates) -> Result<bool, StoreError> {
        let rows = sql::query(
            "SELECT tenant, space, hash, segment, uses FROM embeddings WHERE (tenant, space, hash) > (?, ?, ?)
             ORDER BY tenant, space, hash LIMIT ?",
        )
        .bind(&after.0)
        .bind(&after.1)
        .bind(&after.2[..])
        .bind(PAGE)
        .fetch_all(&self.sql)
        .await?;
        let Some(last) = rows.last() else { return Ok(false) };
        *after = (last.try_get("tenant")?, last.try_get("space")?, last.try_get("hash")?);
        let mut looked_at: BTreeMap<Of, Vec<(ContentHash, Candidate)>> = BTreeMap::new();
        for row in &rows {
            let candidate = Candidate { segment: row.try_get("segment")?, uses: row.try_get("uses")? };
            let of = (row.try_get("tenant")?, row.try_get("space")?);
            looked_at.entry(of).or_default().push((hash_of(row)?, candidate));
        }
        // After the embeddings.
        for (of, all) in looked_at {
            let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) else { continue };
            let used = self.examples_between(&of, first, last).await?;
            let unused: Vec<_> = all.into_iter().filter(|(hash, _)| !used.contains(hash)).collect();
            if !unused.is_empty() {
                candidates.entry(of).or_default().extend(unused);
            }
        }
        Ok(true)
    }

    /// The images of all datasets of a space, from one hash to another. Both tables lie in the order of the hashes, so that no
    /// index by hash alone is needed: it would make an import a third slower.
    async fn examples_between(
        &self,
        (tenant, space): &Of,
        first: &ContentHash,
        last: &ContentHash,
    ) -> Result<HashSet<ContentHash>, StoreError> {
        let rows = sql::query(
            "SELECT DISTINCT e.hash AS hash FROM datasets d CROSS JOIN examples e
             WHERE d.tenant = ? AND d.space = ? AND e.dataset = d.id AND e.hash BETWEEN ? AND ?",
        )
        .bind(tenant)
        .bind(space)
        .bind(&first.as_bytes()[..])
        .bind(&last.as_bytes()[..])
        .fetch_all(&self.sql)
        .await?;
        rows.iter().map(hash_of).collect()
    }

    /// Remove the candidates that no snapshot names.
    async fn remove_candidates(
        &self,
        of: &Of,
        mut candidates: HashMap<ContentHash, Candidate>,
        sizes: &Sizes,
        dry_run: bool,
        gone: &mut Gone,
        to: &mut Collected,
    ) -> Result<(), StoreError> {
        self.spare_those_of_snapshots(of, &mut candidates).await?;
        let candidates: Vec<(ContentHash, Candidate)> = candidates.into_iter().collect();
        for some in candidates.chunks(ROWS_AT_ONCE) {
            for (segment, rows) in self.remove_embeddings(of, some, dry_run).await? {
                to.embeddings += rows;
                to.embedding_bytes += rows * sizes.row(&segment);
                *gone.entry(segment).or_default() += rows;
            }
        }
        Ok(())
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
