//! What keeps versions of heads from being deleted.

use super::{
    super::sql::{self, Transaction},
    split::Split,
};
use crate::{
    error::StoreError,
    names::{HeadRef, Tenant},
};

/// An alias that keeps a version from being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The alias.
    pub alias: String,
    /// The version.
    pub version: u32,
    /// What the version is to the alias.
    pub role: Role,
}

/// What a version is to an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The alias is on it.
    Own,
    /// It answers a part of the requests.
    Canary,
    /// It is asked besides.
    Shadow,
}

/// What keeps `wanted` from being deleted, sorted by alias.
pub(in crate::store) async fn holds(
    write: &mut Transaction,
    tenant: &Tenant,
    wanted: &HeadRef,
) -> Result<Vec<Hold>, StoreError> {
    let rows = sql::query(
        "SELECT alias, version, canary_version, canary_share, shadow_version FROM aliases
         WHERE tenant = ? AND head = ? ORDER BY alias",
    );
    let rows = rows.bind(tenant.as_str()).bind(wanted.name.as_str()).fetch_all(&mut **write).await?;
    let mut holds = Vec::new();
    for row in rows {
        let (alias, split): (String, _) = (row.try_get("alias")?, Split::read(&row)?);
        let canary = split.canary.map(|canary| canary.version);
        let roles = [(Role::Own, Some(row.try_get("version")?)), (Role::Canary, canary), (Role::Shadow, split.shadow)];
        let held = roles.into_iter().filter_map(|(role, version)| Some((role, version?)));
        let held = held.filter(|(_, version)| wanted.version().is_none_or(|wanted| wanted == *version));
        holds.extend(held.map(|(role, version)| Hold { alias: alias.clone(), version, role }));
    }
    Ok(holds)
}
