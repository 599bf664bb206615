//! Training runs.
//!
//! The message of a run tells how it stands, but for its state, which has a column of its own: whoever takes a run or lets
//! it go changes that alone.

use graft_proto::v1::{TrainingRun, TrainingState};
use prost::Message;

use super::{
    Store,
    sql::{self, Row},
};
use crate::{error::StoreError, names::Tenant};

impl Store {
    /// Keep a new run.
    pub async fn put_run(&self, tenant: &Tenant, run: &TrainingRun) -> Result<(), StoreError> {
        sql::query("INSERT INTO training_runs (id, tenant, dataset, head, state, message) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&run.id)
            .bind(tenant.as_str())
            .bind(&run.dataset)
            .bind(&run.head)
            .bind(run.state)
            .bind(run.encode_to_vec())
            .execute(&self.sql)
            .await?;
        Ok(())
    }

    /// A run by its id.
    pub async fn run(&self, tenant: &Tenant, id: &str) -> Result<Option<TrainingRun>, StoreError> {
        let row = sql::query("SELECT state, message FROM training_runs WHERE tenant = ? AND id = ?")
            .bind(tenant.as_str())
            .bind(id)
            .fetch_optional(&self.sql)
            .await?;
        row.as_ref().map(run_of).transpose()
    }

    /// At most `most` runs older than the run `before` (the newest if that is empty), newest first; those on `dataset`
    /// alone unless that is empty. Ids are in the order of creation.
    pub async fn runs(
        &self,
        tenant: &Tenant,
        dataset: &str,
        before: &str,
        most: u32,
    ) -> Result<Vec<TrainingRun>, StoreError> {
        let rows = sql::query(
            "SELECT state, message FROM training_runs WHERE tenant = ?1 AND (?2 = '' OR dataset = ?2) AND (?3 = '' OR id < ?3)
             ORDER BY id DESC LIMIT ?4",
        )
        .bind(tenant.as_str())
        .bind(dataset)
        .bind(before)
        .bind(most)
        .fetch_all(&self.sql)
        .await?;
        rows.iter().map(run_of).collect()
    }

    /// How many runs wait, of all tenants.
    pub async fn waiting_runs(&self) -> Result<u64, StoreError> {
        let waiting: i64 = sql::query_scalar("SELECT COUNT(*) FROM training_runs WHERE state = ?")
            .bind(TrainingState::Queued as i32)
            .fetch_one(&self.sql)
            .await?;
        Ok(waiting.max(0) as u64)
    }
}

/// The run of a row, which has the columns `state` and `message`.
pub(super) fn run_of(row: &Row) -> Result<TrainingRun, StoreError> {
    let message: Vec<u8> = row.try_get("message")?;
    let mut run = TrainingRun::decode(&message[..])
        .map_err(|error| StoreError::Damaged { file: "graft.db".into(), reason: error.to_string() })?;
    run.state = row.try_get("state")?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::place::{Place, in_both};

    in_both!(runs_are_told_newest_first);

    async fn runs_are_told_newest_first(place: Place) {
        let store = place.open().await;
        let tenant = Tenant::default();
        for (id, dataset, state) in [
            ("1", "a", TrainingState::Succeeded),
            ("2", "b", TrainingState::Running),
            ("3", "a", TrainingState::Queued),
        ] {
            let run = TrainingRun { id: id.into(), dataset: dataset.into(), state: state as i32, ..Default::default() };
            store.put_run(&tenant, &run).await.unwrap();
        }
        let ids = |runs: Vec<TrainingRun>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
        assert_eq!(ids(store.runs(&tenant, "", "", 10).await.unwrap()), ["3", "2", "1"]);
        assert_eq!(ids(store.runs(&tenant, "", "3", 1).await.unwrap()), ["2"]);
        assert_eq!(ids(store.runs(&tenant, "a", "", 10).await.unwrap()), ["3", "1"]);
        assert_eq!(store.waiting_runs().await.unwrap(), 1);
        let other = Tenant::stored("other".into());
        assert!(store.run(&other, "1").await.unwrap().is_none() && store.run(&tenant, "1").await.unwrap().is_some());
    }
}
