//! Moving an alias and deleting it: compared with what the caller saw, and written with its entry of the history at once.

use graft_proto::v1::{Promotion, PromotionAction};

use super::{
    super::{
        Store, now,
        sql::{self, Transaction},
        timestamp,
    },
    MOST_ALIASES,
    roll_back::earlier,
    split::{self, Split},
};
use crate::{
    error::StoreError,
    names::{Alias, Name, Tenant},
};

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
    /// Split its traffic like this. It stays on its version.
    Split(Split),
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
    /// The alias is on that version, or split like that, already.
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
    /// There is no version of this number to split the traffic with.
    NoSuch(u32),
    /// The alias itself is on this version, which its traffic was to be split with.
    OnIt(u32),
    /// The version is not of the embedding space of the one that the alias is on.
    Foreign {
        /// The version.
        version: u32,
        /// Its space.
        space: String,
        /// That of the alias's version.
        own: String,
    },
}

/// Where an alias is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) version: u32,
    /// The entry that put it there.
    promotion: i64,
    /// The entry that a roll back returns to.
    pub(super) earlier: Option<i64>,
    split: Split,
}

/// Where an alias goes: the version, and the entry that a later roll back returns to.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    pub(super) to: Option<u32>,
    pub(super) earlier: Option<i64>,
    pub(super) skipped: Vec<u32>,
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
            (Action::RollBack | Action::Delete | Action::Split(_), None) => return Ok(Changed::NoAlias),
            (Action::RollBack, Some(standing)) => match earlier(&mut write, tenant, change.head, standing).await? {
                Some(step) => step,
                None => return Ok(Changed::NoEarlier),
            },
            (Action::Delete, Some(_)) => Step::default(),
            (Action::Split(wanted), Some(Standing { version, split, .. })) => {
                match split::refuse(&mut write, tenant, change, version, split, wanted).await? {
                    Some(refused) => return Ok(refused),
                    None => Step { to: Some(version), ..Step::default() },
                }
            }
        };
        let promotion = record(&mut write, tenant, change, from, &step).await?;
        match change.action {
            Action::Split(split) => split::put(&mut write, tenant, change, split).await?,
            _ => put(&mut write, tenant, change, step.to, promotion.number as i64).await?,
        }
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
        "SELECT a.version AS version, a.promotion AS promotion, p.earlier AS earlier, a.canary_version AS canary_version,
                a.canary_share AS canary_share, a.shadow_version AS shadow_version
         FROM aliases a
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
    Ok(Some(Standing { version, promotion, earlier: row.try_get("earlier")?, split: Split::read(&row)? }))
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

/// Write the entry of the history.
async fn record(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    from: Option<u32>,
    step: &Step,
) -> Result<Promotion, StoreError> {
    let (action, forced, split) = match change.action {
        Action::Promote { forced, .. } => (PromotionAction::Promote, forced, Split::default()),
        Action::RollBack => (PromotionAction::RollBack, false, Split::default()),
        Action::Delete => (PromotionAction::Delete, false, Split::default()),
        Action::Split(split) => (PromotionAction::Split, false, split),
    };
    let [canary_version, canary_share, shadow_version] = split.columns();
    let create_time = now();
    let number: i64 = sql::query_scalar(
        "INSERT INTO promotions (tenant, head, number, alias, action, from_version, to_version, earlier, who, forced, create_time,
                                 canary_version, canary_share, shadow_version)
         VALUES (?1, ?2, (SELECT COALESCE(MAX(number), 0) + 1 FROM promotions WHERE tenant = ?1 AND head = ?2),
                 ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
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
    .bind(canary_version)
    .bind(canary_share)
    .bind(shadow_version)
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
        canary: split.described(),
        shadow_version: shadow_version.unwrap_or_default(),
    })
}

/// Put the alias where the entry says that it is. What its traffic was split with has done its work.
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
         ON CONFLICT (tenant, head, alias) DO UPDATE SET version = excluded.version, promotion = excluded.promotion,
             canary_version = NULL, canary_share = NULL, shadow_version = NULL",
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
