//! Moving an alias and deleting it: compared with what the caller saw, and written with its entry of the history at once.

use graft_proto::v1::{Promotion, PromotionAction};

use super::{
    super::{
        Store, now,
        sql::{self, Transaction},
        timestamp,
    },
    MOST_ALIASES,
};
use crate::{
    error::StoreError,
    names::{Alias, Name, Tenant},
};

/// Versions that a roll back tells to have passed over, at the most.
const MOST_SKIPPED: usize = 100;

/// What is to be done to an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put it on a version.
    Promote {
        /// The version.
        version: u32,
        /// Whether it is put there by force.
        forced: bool,
    },
    /// Put it back on the version that it was on before, passing over those that were deleted since.
    RollBack,
    /// Delete it.
    Delete,
}

/// A change of an alias.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The head.
    pub head: &'a Name,
    /// The alias.
    pub alias: &'a Alias,
    /// What is to be done.
    pub action: Action,
    /// The version that the alias must be on, or `Some(None)` if it must not be there.
    pub seen: Option<Option<u32>>,
    /// Who does it.
    pub by: &'a str,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// It was made.
    Done {
        /// The new entry of the history.
        promotion: Promotion,
        /// Versions that were passed over, because they have been deleted.
        skipped: Vec<u32>,
    },
    /// The alias is on that version already.
    Unchanged,
    /// The alias is not where the caller saw it: it is on this version, or not there.
    Elsewhere(Option<u32>),
    /// There is no such version.
    NoVersion,
    /// There is no such alias.
    NoAlias,
    /// There is no version to go back to that has not been deleted.
    NoEarlier,
    /// The head has as many aliases as it may have.
    TooMany,
}

/// Where an alias is.
#[derive(Clone, Copy, Debug)]
struct Standing {
    version: u32,
    /// The entry that put it there.
    promotion: i64,
    /// The entry that a roll back returns to.
    earlier: Option<i64>,
}

/// Where an alias goes: the version, and the entry that a later roll back returns to.
#[derive(Clone, Debug, Default)]
struct Step {
    to: Option<u32>,
    earlier: Option<i64>,
    skipped: Vec<u32>,
}

impl Store {
    /// Change an alias, all at once or not at all.
    pub async fn change_alias(&self, tenant: &Tenant, change: &Change<'_>) -> Result<Changed, StoreError> {
        let Some(mut write) = self.write_to_head(tenant, change.head).await? else {
            return Ok(if matches!(change.action, Action::Promote { .. }) {
                Changed::NoVersion
            } else {
                Changed::NoAlias
            });
        };
        let standing = standing(&mut write, tenant, change).await?;
        let from = standing.map(|standing| standing.version);
        if change.seen.is_some_and(|seen| seen != from) {
            return Ok(Changed::Elsewhere(from));
        }
        let step = match (change.action, standing) {
            (Action::Promote { version, .. }, standing) => {
                match refuse(&mut write, tenant, change, version, standing).await? {
                    Some(refused) => return Ok(refused),
                    None => Step { to: Some(version), earlier: standing.map(|at| at.promotion), skipped: Vec::new() },
                }
            }
            (Action::RollBack | Action::Delete, None) => return Ok(Changed::NoAlias),
            (Action::RollBack, Some(standing)) => match earlier(&mut write, tenant, change.head, standing).await? {
                Some(step) => step,
                None => return Ok(Changed::NoEarlier),
            },
            (Action::Delete, Some(_)) => Step::default(),
        };
        let promotion = record(&mut write, tenant, change, from, &step).await?;
        put(&mut write, tenant, change, step.to, promotion.number as i64).await?;
        write.commit().await?;
        self.heads_changed();
        Ok(Changed::Done { promotion, skipped: step.skipped })
    }
}

async fn standing(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
) -> Result<Option<Standing>, StoreError> {
    let row = sql::query(
        "SELECT a.version AS version, a.promotion AS promotion, p.earlier AS earlier FROM aliases a
         JOIN promotions p ON p.tenant = a.tenant AND p.head = a.head AND p.number = a.promotion
         WHERE a.tenant = ? AND a.head = ? AND a.alias = ?",
    )
    .bind(tenant.as_str())
    .bind(change.head.as_str())
    .bind(change.alias.as_str())
    .fetch_optional(&mut **write)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (version, promotion) = (row.try_get("version")?, row.try_get("promotion")?);
    Ok(Some(Standing { version, promotion, earlier: row.try_get("earlier")? }))
}

/// Why the alias cannot be put on `version`, if it cannot.
async fn refuse(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    version: u32,
    standing: Option<Standing>,
) -> Result<Option<Changed>, StoreError> {
    let there = sql::query("SELECT version FROM heads WHERE tenant = ? AND name = ? AND version = ?")
        .bind(tenant.as_str())
        .bind(change.head.as_str())
        .bind(version)
        .fetch_optional(&mut **write)
        .await?;
    if there.is_none() {
        return Ok(Some(Changed::NoVersion));
    }
    if let Some(standing) = standing {
        return Ok((standing.version == version).then_some(Changed::Unchanged));
    }
    let count: i64 = sql::query_scalar("SELECT COUNT(*) FROM aliases WHERE tenant = ? AND head = ?")
        .bind(tenant.as_str())
        .bind(change.head.as_str())
        .fetch_one(&mut **write)
        .await?;
    Ok((count >= i64::from(MOST_ALIASES)).then_some(Changed::TooMany))
}

/// Where a roll back leads: along the entries that each was put on top of, to the first whose version is another one and still
/// there.
async fn earlier(
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

/// Write the entry of the history.
async fn record(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    from: Option<u32>,
    step: &Step,
) -> Result<Promotion, StoreError> {
    let (action, forced) = match change.action {
        Action::Promote { forced, .. } => (PromotionAction::Promote, forced),
        Action::RollBack => (PromotionAction::RollBack, false),
        Action::Delete => (PromotionAction::Delete, false),
    };
    let create_time = now();
    let number: i64 = sql::query_scalar(
        "INSERT INTO promotions (tenant, head, number, alias, action, from_version, to_version, earlier, who, forced, create_time)
         VALUES (?1, ?2, (SELECT COALESCE(MAX(number), 0) + 1 FROM promotions WHERE tenant = ?1 AND head = ?2),
                 ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         RETURNING number",
    )
    .bind(tenant.as_str())
    .bind(change.head.as_str())
    .bind(change.alias.as_str())
    .bind(action as i32)
    .bind(from)
    .bind(step.to)
    .bind(step.earlier)
    .bind(change.by)
    .bind(forced)
    .bind(create_time)
    .fetch_one(&mut **write)
    .await?;
    Ok(Promotion {
        head: change.head.to_string(),
        number: number as u64,
        alias: change.alias.to_string(),
        action: action as i32,
        from_version: from.unwrap_or_default(),
        to_version: step.to.unwrap_or_default(),
        by: change.by.to_owned(),
        create_time: Some(timestamp(create_time)),
        forced,
    })
}

/// Put the alias where the entry says that it is.
async fn put(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    to: Option<u32>,
    promotion: i64,
) -> Result<(), StoreError> {
    let Some(version) = to else {
        let gone = sql::query("DELETE FROM aliases WHERE tenant = ? AND head = ? AND alias = ?");
        let gone = gone.bind(tenant.as_str()).bind(change.head.as_str()).bind(change.alias.as_str());
        gone.execute(&mut **write).await?;
        return Ok(());
    };
    sql::query(
        "INSERT INTO aliases (tenant, head, alias, version, promotion) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (tenant, head, alias) DO UPDATE SET version = excluded.version, promotion = excluded.promotion",
    )
    .bind(tenant.as_str())
    .bind(change.head.as_str())
    .bind(change.alias.as_str())
    .bind(version)
    .bind(promotion)
    .execute(&mut **write)
    .await?;
    Ok(())
}
