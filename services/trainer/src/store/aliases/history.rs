//! What was done to aliases. An entry is never changed, and stays when versions or the head are deleted.

use graft_proto::v1::Promotion;

use super::{
    super::{
        Store,
        sql::{self, Row},
        timestamp,
    },
    split::Split,
};
use crate::{
    error::StoreError,
    names::{Alias, Name, Tenant},
};

impl Store {
    /// At most `most` entries of a head's history from before the one of the number `before` (the newest if that is `None`), the
    /// newest first; those of `alias` alone if one is given.
    pub async fn promotions(
        &self,
        tenant: &Tenant,
        head: &Name,
        alias: Option<&Alias>,
        before: Option<i64>,
        most: u32,
    ) -> Result<Vec<Promotion>, StoreError> {
        let rows = sql::query(
            "SELECT head, number, alias, action, from_version, to_version, who, forced, create_time,
                    canary_version, canary_share, shadow_version
             FROM promotions
             WHERE tenant = ?1 AND head = ?2 AND (?3 IS NULL OR alias = ?3) AND (?4 IS NULL OR number < ?4)
             ORDER BY number DESC LIMIT ?5",
        )
        .bind(tenant.as_str())
        .bind(head.as_str())
        .bind(alias.map(Alias::to_string))
        .bind(before)
        .bind(most)
        .fetch_all(&self.sql)
        .await?;
        rows.iter().map(describe).collect()
    }
}

fn describe(row: &Row) -> Result<Promotion, StoreError> {
    let split = Split::read(row)?;
    Ok(Promotion {
        head: row.try_get("head")?,
        number: row.try_get::<i64, _>("number")?.max(0) as u64,
        alias: row.try_get("alias")?,
        action: row.try_get("action")?,
        from_version: row.try_get::<Option<u32>, _>("from_version")?.unwrap_or_default(),
        to_version: row.try_get::<Option<u32>, _>("to_version")?.unwrap_or_default(),
        by: row.try_get("who")?,
        create_time: Some(timestamp(row.try_get("create_time")?)),
        forced: row.try_get("forced")?,
        canary: split.described(),
        shadow_version: split.shadow.unwrap_or_default(),
    })
}
