//! Where a roll back of an alias leads.

use super::{
    super::sql::{self, Transaction},
    change::{Standing, Step},
};
use crate::{
    error::StoreError,
    names::{Name, Tenant},
};

/// Versions that a roll back tells to have passed over, at the most.
const MOST_SKIPPED: usize = 100;

/// Where a roll back leads: along the entries that each was put on top of, to the first whose version is another one and still
/// there.
pub(super) async fn earlier(
    write: &mut Transaction,
    tenant: &Tenant,
    head: &Name,
    standing: Standing,
) -> Result<Option<Step>, StoreError> {
    const THERE: &str =
        "EXISTS (SELECT 1 FROM heads h WHERE h.tenant = ?1 AND h.name = ?2 AND h.version = p.to_version)";
    let text = format!(
        "WITH RECURSIVE trail (number, version, earlier, there) AS (
             SELECT p.number, p.to_version, p.earlier, {THERE} FROM promotions p
             WHERE p.tenant = ?1 AND p.head = ?2 AND p.number = ?3
             UNION ALL
             SELECT p.number, p.to_version, p.earlier, {THERE} FROM promotions p JOIN trail t ON p.number = t.earlier
             WHERE p.tenant = ?1 AND p.head = ?2 AND (NOT t.there OR t.version = ?4)
         )
         SELECT version, earlier, there FROM trail ORDER BY number DESC"
    );
    let rows = sql::query(sqlx::AssertSqlSafe(text))
        .bind(tenant.as_str())
        .bind(head.as_str())
        .bind(standing.earlier)
        .bind(standing.version)
        .fetch_all(&mut **write)
        .await?;
    let mut skipped = Vec::new();
    for row in rows {
        let version: u32 = row.try_get("version")?;
        if version == standing.version {
            continue;
        }
        if row.try_get("there")? {
            return Ok(Some(Step { to: Some(version), earlier: row.try_get("earlier")?, skipped }));
        }
        if skipped.len() < MOST_SKIPPED {
            skipped.push(version);
        }
    }
    Ok(None)
}
