//! Training runs.

use graft_proto::v1::{TrainingRun, TrainingState};
use prost::Message;

use super::Store;
use crate::{error::StoreError, names::Tenant};

impl Store {
    /// Write a run as it stands.
    pub async fn put_run(&self, tenant: &Tenant, run: &TrainingRun) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO training_runs (id, tenant, dataset, head, state, message) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, message = excluded.message",
        )
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
        let message: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT message FROM training_runs WHERE tenant = ? AND id = ?")
                .bind(tenant.as_str())
                .bind(id)
                .fetch_optional(&self.sql)
                .await?;
        message.map(decode).transpose()
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
        let messages: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT message FROM training_runs WHERE tenant = ?1 AND (?2 = '' OR dataset = ?2) AND (?3 = '' OR id < ?3)
             ORDER BY id DESC LIMIT ?4",
        )
        .bind(tenant.as_str())
        .bind(dataset)
        .bind(before)
        .bind(most)
        .fetch_all(&self.sql)
        .await?;
        messages.into_iter().map(decode).collect()
    }

    /// Every run that has not ended, oldest first.
    pub async fn unfinished_runs(&self) -> Result<Vec<TrainingRun>, StoreError> {
        let messages: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT message FROM training_runs WHERE state IN (?, ?) ORDER BY id")
                .bind(TrainingState::Queued as i32)
                .bind(TrainingState::Running as i32)
                .fetch_all(&self.sql)
                .await?;
        messages.into_iter().map(decode).collect()
    }
}

fn decode(message: Vec<u8>) -> Result<TrainingRun, StoreError> {
    let damaged =
        |error: prost::DecodeError| StoreError::Damaged { file: "graft.db".into(), reason: error.to_string() };
    TrainingRun::decode(&message[..]).map_err(damaged)
}
