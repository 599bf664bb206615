//! Training runs.

use graft_proto::v1::{TrainingRun, TrainingState};
use prost::Message;
use sqlx::SqliteConnection;

use super::Store;
use crate::{error::StoreError, names::Tenant};

impl Store {
    /// Write a run as it stands.
    pub async fn put_run(&self, tenant: &Tenant, run: &TrainingRun) -> Result<(), StoreError> {
        write_run(&mut *self.sql.acquire().await?, tenant, run).await
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

    /// Every run that has not ended, with its tenant, oldest first.
    pub async fn unfinished_runs(&self) -> Result<Vec<(Tenant, TrainingRun)>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT tenant, message FROM training_runs WHERE state IN (?, ?) ORDER BY id")
                .bind(TrainingState::Queued as i32)
                .bind(TrainingState::Running as i32)
                .fetch_all(&self.sql)
                .await?;
        rows.into_iter().map(|(tenant, message)| Ok((Tenant::stored(tenant), decode(message)?))).collect()
    }
}

/// Write a run as it stands, as a part of whatever `sql` is doing.
pub(super) async fn write_run(
    sql: &mut SqliteConnection,
    tenant: &Tenant,
    run: &TrainingRun,
) -> Result<(), StoreError> {
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
    .execute(sql)
    .await?;
    Ok(())
}

fn decode(message: Vec<u8>) -> Result<TrainingRun, StoreError> {
    let damaged =
        |error: prost::DecodeError| StoreError::Damaged { file: "graft.db".into(), reason: error.to_string() };
    TrainingRun::decode(&message[..]).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn runs_are_told_newest_first_and_unfinished_ones_oldest_first() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
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
        let (tenants, runs): (Vec<_>, Vec<_>) = store.unfinished_runs().await.unwrap().into_iter().unzip();
        assert_eq!((ids(runs), tenants), (vec!["2".to_owned(), "3".to_owned()], vec![tenant.clone(), tenant.clone()]));
        let other = Tenant::stored("other".into());
        assert!(store.run(&other, "1").await.unwrap().is_none() && store.run(&tenant, "1").await.unwrap().is_some());
    }
}
