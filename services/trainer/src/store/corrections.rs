//! Corrections: what was right where a head was wrong. An answer of a version about one image has one.

use graft_proto::v1::Correction;
use uuid::Uuid;

use super::{
    Store,
    examples::hash_of,
    now,
    sql::{self, Row},
    timestamp,
};
use crate::{
    content::ContentHash,
    error::StoreError,
    names::{HeadRef, Tenant},
};

/// An answer of a head that was wrong.
#[derive(Clone, Debug)]
pub struct Wrong<'a> {
    /// The head.
    pub head: &'a str,
    /// Its version.
    pub version: u32,
    /// The image.
    pub hash: ContentHash,
    /// What the head said, if that is known.
    pub predicted: &'a [String],
    /// What is right.
    pub labels: &'a [String],
}

/// The condition of the corrections of a head, or of one version of it.
const OF_HEAD: &str = "tenant = ?1 AND (?2 = '' OR head = ?2) AND (?3 IS NULL OR version = ?3)";

impl Store {
    /// Keep a correction, in the place of an earlier one of the same answer. `false` if it says what that said.
    pub async fn keep_correction(&self, tenant: &Tenant, wrong: &Wrong<'_>) -> Result<bool, StoreError> {
        let done = sql::query(
            "INSERT INTO corrections (id, tenant, head, version, hash, predicted, labels, create_time)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (tenant, head, version, hash) DO UPDATE SET predicted = excluded.predicted, labels = excluded.labels
             WHERE corrections.predicted <> excluded.predicted OR corrections.labels <> excluded.labels",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(tenant.as_str())
        .bind(wrong.head)
        .bind(wrong.version)
        .bind(&wrong.hash.as_bytes()[..])
        .bind(wrong.predicted.join("\n"))
        .bind(wrong.labels.join("\n"))
        .bind(now())
        .execute(&self.sql)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// At most `most` corrections of a head (of all, if none is told) that are older than the correction `before` (the newest if
    /// that is empty), the newest first.
    pub async fn corrections(
        &self,
        tenant: &Tenant,
        of: Option<&HeadRef>,
        before: &str,
        most: u32,
    ) -> Result<Vec<Correction>, StoreError> {
        let text = format!(
            "SELECT id, head, version, hash, predicted, labels, create_time FROM corrections
             WHERE {OF_HEAD} AND (?4 = '' OR id < ?4) ORDER BY id DESC LIMIT ?5"
        );
        let rows = sql::query(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(of.map_or("", |of| of.name.as_str()))
            .bind(of.and_then(HeadRef::version))
            .bind(before)
            .bind(most)
            .fetch_all(&self.sql)
            .await?;
        rows.iter().map(correction).collect()
    }

    /// How many corrections a head has, or all together.
    pub async fn count_corrections(&self, tenant: &Tenant, of: Option<&HeadRef>) -> Result<u64, StoreError> {
        let text = format!("SELECT COUNT(*) FROM corrections WHERE {OF_HEAD}");
        let count: i64 = sql::query_scalar(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(of.map_or("", |of| of.name.as_str()))
            .bind(of.and_then(HeadRef::version))
            .fetch_one(&self.sql)
            .await?;
        Ok(count.max(0) as u64)
    }
}

fn correction(row: &Row) -> Result<Correction, StoreError> {
    let labels = |text: String| text.split('\n').filter(|label| !label.is_empty()).map(str::to_owned).collect();
    Ok(Correction {
        id: row.try_get("id")?,
        head: format!("{}@{}", row.try_get::<String, _>("head")?, row.try_get::<u32, _>("version")?),
        hash: hash_of(row)?.to_hex(),
        predicted: labels(row.try_get("predicted")?),
        labels: labels(row.try_get("labels")?),
        create_time: Some(timestamp(row.try_get("create_time")?)),
    })
}
