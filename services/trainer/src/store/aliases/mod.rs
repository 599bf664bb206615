//! Aliases: names for versions of heads that can be moved, and the history of the moves.
//!
//! Whoever moves an alias locks its head first; so does whoever writes or deletes a version. So no version goes while an alias
//! is being put on it, and entries of the history are numbered in the order in which they happened.
//!
//! # Layout
//! - `change` moves aliases and deletes them; `roll_back` knows where they were, and `split` splits their traffic. [`history`] tells
//!   of it. `holds` are what keeps versions from being deleted.

use std::collections::HashMap;

use graft_proto::v1::{Alias as Description, Head};

use super::{
    Store,
    sql::{self, Row, Transaction},
    timestamp,
};
use crate::{
    error::StoreError,
    names::{Alias, Name, Tenant},
};

mod change;
pub mod history;
mod holds;
mod roll_back;
mod split;

pub use change::{Action, Change, Changed};
pub(super) use holds::holds;
pub use holds::{Hold, Role};
pub use split::{Canary, Split, WHOLE};

/// Aliases of one head, at the most.
pub const MOST_ALIASES: u32 = 100;

const COLUMNS: &str =
    "a.head AS head, a.alias AS alias, a.version AS version, p.who AS who, p.create_time AS create_time,
    a.canary_version AS canary_version, a.canary_share AS canary_share, a.shadow_version AS shadow_version
    FROM aliases a JOIN promotions p ON p.tenant = a.tenant AND p.head = a.head AND p.number = a.promotion";

impl Store {
    /// A transaction that writes to the versions or aliases of a head. Of several, one goes on and the others wait here. `None` if
    /// there never was such a head.
    pub(super) async fn write_to_head(&self, tenant: &Tenant, head: &Name) -> Result<Option<Transaction>, StoreError> {
        let mut write = self.write().await?;
        let text = format!("SELECT latest FROM head_versions WHERE tenant = ? AND name = ?{}", self.sql.for_update());
        let there = sql::query(sqlx::AssertSqlSafe(text)).bind(tenant.as_str()).bind(head.as_str());
        let there = there.fetch_optional(&mut *write).await?;
        Ok(there.map(|_| write))
    }

    /// An alias of a head.
    pub async fn alias(&self, tenant: &Tenant, head: &Name, alias: &Alias) -> Result<Option<Description>, StoreError> {
        let text = format!("SELECT {COLUMNS} WHERE a.tenant = ? AND a.head = ? AND a.alias = ?");
        let row = sql::query(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(head.as_str())
            .bind(alias.as_str())
            .fetch_optional(&self.sql)
            .await?;
        row.as_ref().map(describe).transpose()
    }

    /// At most `most` aliases, sorted by head and alias, that come after the alias `after` of a head; those of `head` alone if
    /// one is given.
    pub async fn aliases(
        &self,
        tenant: &Tenant,
        head: Option<&Name>,
        after: (&str, &str),
        most: u32,
    ) -> Result<Vec<Description>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} WHERE a.tenant = ?1 AND (?2 IS NULL OR a.head = ?2) AND (a.head, a.alias) > (?3, ?4)
             ORDER BY a.head, a.alias LIMIT ?5"
        );
        let rows = sql::query(sqlx::AssertSqlSafe(text))
            .bind(tenant.as_str())
            .bind(head.map(Name::to_string))
            .bind(after.0)
            .bind(after.1)
            .bind(most)
            .fetch_all(&self.sql)
            .await?;
        rows.iter().map(describe).collect()
    }

    /// Fill in the aliases of `heads`, which are sorted by name.
    pub async fn name_aliases(&self, tenant: &Tenant, heads: &mut [Head]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (heads.first(), heads.last()) else { return Ok(()) };
        let rows = sql::query(
            "SELECT head, alias, version FROM aliases WHERE tenant = ? AND head >= ? AND head <= ? ORDER BY head, alias",
        );
        let rows = rows.bind(tenant.as_str()).bind(&first.name).bind(&last.name).fetch_all(&self.sql).await?;
        let mut on: HashMap<(String, u32), Vec<String>> = HashMap::new();
        for row in rows {
            on.entry((row.try_get("head")?, row.try_get("version")?)).or_default().push(row.try_get("alias")?);
        }
        for head in heads {
            head.aliases = on.remove(&(head.name.clone(), head.version)).unwrap_or_default();
        }
        Ok(())
    }
}

fn describe(row: &Row) -> Result<Description, StoreError> {
    let split = Split::read(row)?;
    Ok(Description {
        head: row.try_get("head")?,
        name: row.try_get("alias")?,
        version: row.try_get("version")?,
        update_time: Some(timestamp(row.try_get("create_time")?)),
        by: row.try_get("who")?,
        canary: split.described(),
        shadow_version: split.shadow.unwrap_or_default(),
    })
}
