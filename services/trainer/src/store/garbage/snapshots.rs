//! Snapshots that no dataset, run or head refers to.

use std::collections::HashSet;

use graft_proto::v1::{Head, TrainingState};
use prost::Message;

use super::Collected;
use crate::{
    error::StoreError,
    store::{
        Store,
        sql::{self, Row},
    },
};

/// Snapshots that are looked at together, and heads, whose reports may be long.
const PAGE: u32 = 1000;
const HEADS: u32 = 32;

/// A snapshot without a dataset.
struct Candidate {
    tenant: String,
    dataset: String,
    id: String,
    /// Runs on a dataset of its name, of all times.
    runs: i64,
}

/// Tenant and id of a snapshot.
type Named = (String, String);

const RUNS: &str = "SELECT COUNT(*) FROM training_runs r WHERE r.tenant = s.tenant AND r.dataset = s.dataset";
const NO_DATASET: &str = "NOT EXISTS (SELECT 1 FROM datasets d WHERE d.tenant = s.tenant AND d.name = s.dataset)";

impl Store {
    pub(super) async fn collect_snapshots(&self, dry_run: bool, to: &mut Collected) -> Result<(), StoreError> {
        let mut after = (String::new(), String::new(), String::new());
        let mut named: Option<HashSet<Named>> = None;
        loop {
            let page = self.snapshots_without_a_dataset(&after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.tenant.clone(), last.dataset.clone(), last.id.clone());
            // After the candidates, and only if there are any: reports are long.
            let named = match &mut named {
                Some(named) => named,
                none => none.insert(self.snapshots_of_heads().await?),
            };
            for candidate in page {
                if named.contains(&(candidate.tenant.clone(), candidate.id.clone())) {
                    continue;
                }
                to.snapshots += if dry_run { 1 } else { self.remove_snapshot(&candidate).await? };
            }
        }
    }

    async fn snapshots_without_a_dataset(
        &self,
        after: &(String, String, String),
    ) -> Result<Vec<Candidate>, StoreError> {
        let text = format!(
            "SELECT s.tenant AS tenant, s.dataset AS dataset, s.id AS id, ({RUNS}) AS runs FROM snapshots s
             WHERE (s.tenant, s.dataset, s.id) > (?, ?, ?) AND {NO_DATASET} AND ({RUNS} AND r.state IN (?, ?)) = 0
             ORDER BY s.tenant, s.dataset, s.id LIMIT ?"
        );
        let rows = sql::query(sqlx::AssertSqlSafe(text))
            .bind(&after.0)
            .bind(&after.1)
            .bind(&after.2)
            .bind(TrainingState::Queued as i32)
            .bind(TrainingState::Running as i32)
            .bind(PAGE)
            .fetch_all(&self.sql)
            .await?;
        let candidate = |row: &Row| {
            Ok(Candidate {
                tenant: row.try_get("tenant")?,
                dataset: row.try_get("dataset")?,
                id: row.try_get("id")?,
                runs: row.try_get("runs")?,
            })
        };
        rows.iter().map(candidate).collect()
    }

    /// The snapshots that heads were fitted on.
    async fn snapshots_of_heads(&self) -> Result<HashSet<Named>, StoreError> {
        let mut named = HashSet::new();
        let mut after = (String::new(), String::new(), 0i64);
        loop {
            let rows = sql::query(
                "SELECT tenant, name, version, message FROM heads WHERE (tenant, name, version) > (?, ?, ?)
                 ORDER BY tenant, name, version LIMIT ?",
            )
            .bind(&after.0)
            .bind(&after.1)
            .bind(after.2)
            .bind(HEADS)
            .fetch_all(&self.sql)
            .await?;
            let Some(last) = rows.last() else { return Ok(named) };
            after = (last.try_get("tenant")?, last.try_get("name")?, last.try_get("version")?);
            for row in &rows {
                let message: Vec<u8> = row.try_get("message")?;
                let head = Head::decode(&message[..]).map_err(|error| StoreError::Damaged {
                    file: "graft.db".into(),
                    reason: format!("a head cannot be read: {error}"),
                })?;
                let snapshot = head.report.map(|report| report.snapshot).unwrap_or_default();
                named.insert((row.try_get("tenant")?, snapshot));
            }
        }
    }

    async fn remove_snapshot(&self, candidate: &Candidate) -> Result<u64, StoreError> {
        let text = format!(
            "DELETE FROM snapshots AS s WHERE s.tenant = ? AND s.dataset = ? AND s.id = ? AND {NO_DATASET} AND ({RUNS}) = ?"
        );
        let done = sql::query(sqlx::AssertSqlSafe(text))
            .bind(&candidate.tenant)
            .bind(&candidate.dataset)
            .bind(&candidate.id)
            .bind(candidate.runs)
            .execute(&self.sql)
            .await?;
        Ok(done.rows_affected())
    }
}
