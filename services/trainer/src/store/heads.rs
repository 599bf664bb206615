//! Versions of heads. A version is never changed once written.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::{Head, TrainingProgress, TrainingRun, TrainingState};
use prost::Message;
use uuid::Uuid;

use super::{
    Store,
    aliases::{Hold, holds},
    leases::{Lease, end_leased},
    now,
    serving::size_in_memory,
    sql::{self, Connection},
    timestamp,
};
use crate::{
    error::StoreError,
    fit::head,
    names::{Alias, HeadRef, Tenant},
};

/// The rows of the version that is meant, or of all if it is the newest. Parameters: tenant, name, version, alias.
const MEANT: &str = "tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)
    AND (?4 IS NULL OR version = (SELECT a.version FROM aliases a WHERE a.tenant = ?1 AND a.head = ?2 AND a.alias = ?4))";

/// What came of deleting a head, or a version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// There was none.
    Nothing,
    /// It is there: aliases need it.
    Held(Vec<Hold>),
}

impl Store {
    /// Write the next version of a head, and that `run` has succeeded with it: the weights first, then both rows in one
    /// transaction, so that a crash never leaves a head whose run is fitted once more. Gives back the run as it ended; `None`
    /// if it is not fitted under `lease` any more: then nothing is registered.
    pub async fn register(
        &self,
        tenant: &Tenant,
        mut head: Head,
        weights: &head::Head,
        mut run: TrainingRun,
        lease: &Lease,
    ) -> Result<Option<TrainingRun>, StoreError> {
        let file = self.put_weights(&head, weights).await?;
        let mut write = self.write().await?;
        add_version(&mut write, tenant, &mut head, &file).await?;
        run.set_state(TrainingState::Succeeded);
        run.head_version = head.version;
        run.end_time = Some(timestamp(now()));
        run.progress = run.progress.map(|progress| TrainingProgress { fraction: 1.0, ..progress });
        if !end_leased(&mut write, lease, &run).await? {
            drop(write);
            return self.ended_under(lease).await;
        }
        write.commit().await?;
        self.heads_changed();
        Ok(Some(run))
    }

    /// Write the next version of a head that no run has fitted. Gives it back with its version.
    pub async fn register_imported(
        &self,
        tenant: &Tenant,
        mut head: Head,
        weights: &head::Head,
    ) -> Result<Head, StoreError> {
        let file = self.put_weights(&head, weights).await?;
        let mut write = self.write().await?;
        add_version(&mut write, tenant, &mut head, &file).await?;
        write.commit().await?;
        self.heads_changed();
        Ok(head)
    }

    /// Write weights to a file, which does not count yet.
    async fn put_weights(&self, head: &Head, weights: &head::Head) -> Result<WeightsFile, StoreError> {
        let name = format!("heads/{}.safetensors", Uuid::now_v7());
        let metadata = HashMap::from([
            ("name".to_owned(), head.name.clone()),
            ("space".to_owned(), head.space.clone()),
            ("graft_version".to_owned(), head.graft_version.clone()),
        ]);
        let bytes = weights
            .to_safetensors(metadata)
            .map_err(|error| StoreError::Damaged { file: name.clone(), reason: error.to_string() })?;
        let (checksum, size) = (*blake3::hash(&bytes).as_bytes(), bytes.len() as u64);
        self.put(&name, bytes).await?;
        Ok(WeightsFile { name, checksum, bytes: size })
    }

    /// A version of a head. Its aliases are left out.
    pub async fn head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<Head>, StoreError> {
        let text = format!("SELECT message FROM heads WHERE {MEANT} ORDER BY version DESC LIMIT 1");
        let message: Option<Vec<u8>> = sql::query_scalar(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(wanted.name.as_str())
            .bind(wanted.version())
            .bind(wanted.alias().map(Alias::to_string))
            .fetch_optional(&self.sql)
            .await?;
        message.map(decode).transpose()
    }

    /// The number of the version that is meant, if there is one.
    pub async fn version(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<u32>, StoreError> {
        let text = format!("SELECT MAX(version) FROM heads WHERE {MEANT}");
        let version: Option<u32> = sql::query_scalar(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(wanted.name.as_str())
            .bind(wanted.version())
            .bind(wanted.alias().map(Alias::to_string))
            .fetch_one(&self.sql)
            .await?;
        Ok(version)
    }

    /// The weights of a version.
    pub async fn weights(&self, tenant: &Tenant, name: &str, version: u32) -> Result<Option<head::Head>, StoreError> {
        let row = sql::query("SELECT file, checksum FROM heads WHERE tenant = ? AND name = ? AND version = ?")
            .bind(tenant.as_str())
            .bind(name)
            .bind(version)
            .fetch_optional(&self.sql)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let file: String = row.try_get("file")?;
        let bytes = self.get(&file, row.try_get("checksum")?).await?;
        let weights = head::Head::from_safetensors(&bytes)
            .map_err(|error| StoreError::Damaged { file, reason: error.to_string() })?;
        Ok(Some(weights))
    }

    /// The newest versions of at most `most` heads whose names come after `after`, sorted by name. Their aliases are left out.
    pub async fn heads(&self, tenant: &Tenant, after: &str, most: u32) -> Result<Vec<Head>, StoreError> {
        let messages: Vec<Vec<u8>> = sql::query_scalar(
            "SELECT h.message FROM heads h
             WHERE h.tenant = ?1 AND h.name > ?2
               AND h.version = (SELECT MAX(version) FROM heads n WHERE n.tenant = h.tenant AND n.name = h.name)
             ORDER BY h.name LIMIT ?3",
        )
        .bind(tenant.as_str())
        .bind(after)
        .bind(most)
        .fetch_all(&self.sql)
        .await?;
        messages.into_iter().map(decode).collect()
    }

    /// Delete a version of a head, or all of them, unless an alias needs what would go. The files go at the next start.
    pub async fn delete_head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Deleted, StoreError> {
        let Some(mut write) = self.write_to_head(tenant, &wanted.name).await? else { return Ok(Deleted::Nothing) };
        let held = holds(&mut write, tenant, wanted).await?;
        if !held.is_empty() {
            return Ok(Deleted::Held(held));
        }
        let done = sql::query("DELETE FROM heads WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)")
            .bind(tenant.as_str())
            .bind(wanted.name.as_str())
            .bind(wanted.version())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        self.heads_changed();
        Ok(if done.rows_affected() > 0 { Deleted::Done } else { Deleted::Nothing })
    }

    /// Every file of weights that counts.
    pub(super) async fn head_files(&self) -> Result<HashSet<String>, StoreError> {
        let files: Vec<String> = sql::query_scalar("SELECT file FROM heads").fetch_all(&self.sql).await?;
        Ok(files.into_iter().collect())
    }
}

/// A file of weights that was written.
struct WeightsFile {
    name: String,
    /// BLAKE3 of the file.
    checksum: [u8; 32],
    /// Its size.
    bytes: u64,
}

/// Give a head its version and write its row, as a part of whatever `sql` is doing.
async fn add_version(
    sql: &mut Connection,
    tenant: &Tenant,
    head: &mut Head,
    file: &WeightsFile,
) -> Result<(), StoreError> {
    let version: i64 = sql::query_scalar(
        "INSERT INTO head_versions (tenant, name, latest) VALUES (?, ?, 1)
         ON CONFLICT (tenant, name) DO UPDATE SET latest = head_versions.latest + 1 RETURNING latest",
    )
    .bind(tenant.as_str())
    .bind(&head.name)
    .fetch_one(&mut *sql)
    .await?;
    head.version = version as u32;
    sql::query(
        "INSERT INTO heads (tenant, name, version, file, checksum, message, space, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(tenant.as_str())
    .bind(&head.name)
    .bind(head.version)
    .bind(&file.name)
    .bind(&file.checksum[..])
    .bind(head.encode_to_vec())
    .bind(&head.space)
    .bind(size_in_memory(head, file.bytes))
    .execute(&mut *sql)
    .await?;
    Ok(())
}

pub(super) fn decode(message: Vec<u8>) -> Result<Head, StoreError> {
    let damaged =
        |error: prost::DecodeError| StoreError::Damaged { file: "graft.db".into(), reason: error.to_string() };
    Head::decode(&message[..]).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::place::{Place, in_both};

    in_both!(a_version_is_never_given_twice_and_comes_with_its_run);

    fn wanted(text: &str) -> HeadRef {
        HeadRef::parse("head", text).unwrap()
    }

    async fn a_version_is_never_given_twice_and_comes_with_its_run(place: Place) {
        let store = place.open().await;
        let tenant = Tenant::default();
        let weights = head::LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 };
        let weights = head::Head::Linear(weights);
        let register = async |id: &str| {
            let state = TrainingState::Queued as i32;
            let run = TrainingRun { id: id.into(), head: "h".into(), state, ..Default::default() };
            let head = Head { name: "h".into(), training_run: id.into(), ..Default::default() };
            store.put_run(&tenant, &run).await.unwrap();
            let lease = store.take_run("me").await.unwrap().unwrap().lease;
            store.register(&tenant, head, &weights, run, &lease).await.unwrap().unwrap().head_version
        };
        assert_eq!((register("r1").await, register("r2").await), (1, 2));
        let run = store.run(&tenant, "r2").await.unwrap().unwrap();
        assert_eq!((run.state(), run.head_version), (TrainingState::Succeeded, 2));
        assert!(store.take_run("me").await.unwrap().is_none());
        assert_eq!(store.weights(&tenant, "h", 1).await.unwrap(), Some(weights.clone()));

        assert_eq!(store.delete_head(&tenant, &wanted("h@2")).await.unwrap(), Deleted::Done);
        assert_eq!(store.delete_head(&tenant, &wanted("h@2")).await.unwrap(), Deleted::Nothing);
        assert_eq!(store.version(&tenant, &wanted("h@2")).await.unwrap(), None);
        assert_eq!(store.version(&tenant, &wanted("h")).await.unwrap(), Some(1));
        assert_eq!(register("r3").await, 3, "the number of a deleted version is not given again");
        assert_eq!(store.head(&tenant, &wanted("h")).await.unwrap().unwrap().training_run, "r3");
        let listed = store.heads(&tenant, "", 10).await.unwrap();
        assert_eq!(listed.iter().map(|head| head.version).collect::<Vec<_>>(), [3], "the newest alone");
        assert!(store.heads(&tenant, "h", 10).await.unwrap().is_empty());

        let imported = Head { name: "h".into(), ..Default::default() };
        let imported = store.register_imported(&tenant, imported, &weights).await.unwrap();
        assert_eq!(imported.version, 4, "the versions of fitted and imported heads are counted together");
        assert_eq!(store.head(&tenant, &wanted("h")).await.unwrap(), Some(imported));
        assert_eq!(store.weights(&tenant, "h", 4).await.unwrap(), Some(weights.clone()));
    }
}
