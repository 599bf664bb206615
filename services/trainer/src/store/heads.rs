//! Versions of heads. A version is never changed once written.

use std::collections::{HashMap, HashSet};

use graft_proto::v1::Head;
use prost::Message;
use sqlx::Row;
use uuid::Uuid;

use super::Store;
use crate::{
    error::StoreError,
    fit::head::LinearHead,
    names::{HeadRef, Name, Tenant},
};

impl Store {
    /// Write the next version of a head: the weights first, then the row. Gives back the head with its version.
    pub async fn add_head(&self, tenant: &Tenant, mut head: Head, weights: &LinearHead) -> Result<Head, StoreError> {
        let file = format!("heads/{}.safetensors", Uuid::now_v7());
        let metadata = HashMap::from([
            ("name".to_owned(), head.name.clone()),
            ("space".to_owned(), head.space.clone()),
            ("graft_version".to_owned(), head.graft_version.clone()),
        ]);
        let bytes = weights
            .to_safetensors(metadata)
            .map_err(|error| StoreError::Damaged { file: file.clone(), reason: error.to_string() })?;
        let checksum = *blake3::hash(&bytes).as_bytes();
        self.put(&file, bytes).await?;
        let mut write = self.write().await?;
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO head_versions (tenant, name, latest) VALUES (?, ?, 1)
             ON CONFLICT (tenant, name) DO UPDATE SET latest = latest + 1 RETURNING latest",
        )
        .bind(tenant.as_str())
        .bind(&head.name)
        .fetch_one(&mut *write)
        .await?;
        head.version = version as u32;
        sqlx::query("INSERT INTO heads (tenant, name, version, file, checksum, message) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(tenant.as_str())
            .bind(&head.name)
            .bind(head.version)
            .bind(&file)
            .bind(&checksum[..])
            .bind(head.encode_to_vec())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(head)
    }

    /// A version of a head; the newest unless told.
    pub async fn head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<Head>, StoreError> {
        let message: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT message FROM heads WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)
             ORDER BY version DESC LIMIT 1",
        )
        .bind(tenant.as_str())
        .bind(wanted.name.as_str())
        .bind(wanted.version)
        .fetch_optional(&self.sql)
        .await?;
        message.map(decode).transpose()
    }

    /// The number of a head's newest version.
    pub async fn newest_version(&self, tenant: &Tenant, name: &Name) -> Result<Option<u32>, StoreError> {
        let version: Option<u32> = sqlx::query_scalar("SELECT MAX(version) FROM heads WHERE tenant = ? AND name = ?")
            .bind(tenant.as_str())
            .bind(name.as_str())
            .fetch_one(&self.sql)
            .await?;
        Ok(version)
    }

    /// The weights of a version.
    pub async fn weights(&self, tenant: &Tenant, name: &str, version: u32) -> Result<Option<LinearHead>, StoreError> {
        let row = sqlx::query("SELECT file, checksum FROM heads WHERE tenant = ? AND name = ? AND version = ?")
            .bind(tenant.as_str())
            .bind(name)
            .bind(version)
            .fetch_optional(&self.sql)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let file: String = row.try_get("file")?;
        let bytes = self.get(&file, row.try_get("checksum")?).await?;
        let weights = LinearHead::from_safetensors(&bytes)
            .map_err(|error| StoreError::Damaged { file, reason: error.to_string() })?;
        Ok(Some(weights))
    }

    /// The newest versions of at most `most` heads whose names come after `after`, sorted by name.
    pub async fn heads(&self, tenant: &Tenant, after: &str, most: u32) -> Result<Vec<Head>, StoreError> {
        let messages: Vec<Vec<u8>> = sqlx::query_scalar(
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

    /// Delete a version of a head, or all of them. `false` if there is none. The files go at the next start.
    pub async fn delete_head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM heads WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)")
            .bind(tenant.as_str())
            .bind(wanted.name.as_str())
            .bind(wanted.version)
            .execute(&self.sql)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every file of weights that counts.
    pub(super) async fn head_files(&self) -> Result<HashSet<String>, StoreError> {
        let files: Vec<String> = sqlx::query_scalar("SELECT file FROM heads").fetch_all(&self.sql).await?;
        Ok(files.into_iter().collect())
    }
}

fn decode(message: Vec<u8>) -> Result<Head, StoreError> {
    let damaged =
        |error: prost::DecodeError| StoreError::Damaged { file: "graft.db".into(), reason: error.to_string() };
    Head::decode(&message[..]).map_err(damaged)
}
