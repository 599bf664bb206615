//! Splitting the traffic of an alias: a canary that answers a part of its requests, and a shadow that is asked besides.

use graft_proto::v1::{Alias, Canary as Description, Head};

use super::{
    super::{
        heads::decode,
        sql::{self, Row, Transaction},
    },
    change::{Change, Changed},
};
use crate::{error::StoreError, names::Tenant};

/// What a canary's share is counted in: ten-thousandths.
pub const WHOLE: u32 = 10_000;

/// How the traffic of an alias is split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The version that answers a part of the requests.
    pub canary: Option<Canary>,
    /// The version that is asked besides.
    pub shadow: Option<u32>,
}

/// A version that answers a part of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The version.
    pub version: u32,
    /// The part, in ten-thousandths: 0 to [`WHOLE`].
    pub share: u32,
}

impl Split {
    /// That of the columns `canary_version`, `canary_share` and `shadow_version`.
    pub(in crate::store) fn read(row: &Row) -> Result<Split, StoreError> {
        let canary = match (row.try_get("canary_version")?, row.try_get("canary_share")?) {
            (Some(version), Some(share)) => Some(Canary { version, share }),
            _ => None,
        };
        Ok(Split { canary, shadow: row.try_get("shadow_version")? })
    }

    /// That of an alias as the API tells it.
    pub fn of(alias: &Alias) -> Split {
        let share = |percent: f64| (percent * f64::from(WHOLE) / 100.0).round() as u32;
        let canary = alias.canary.map(|Description { version, percent }| Canary { version, share: share(percent) });
        Split { canary, shadow: Some(alias.shadow_version).filter(|version| *version > 0) }
    }

    /// The canary as the API tells it.
    pub fn described(&self) -> Option<Description> {
        self.canary.map(|Canary { version, share }| Description { version, percent: f64::from(share) / 100.0 })
    }

    /// Its three columns.
    pub(super) fn columns(&self) -> [Option<u32>; 3] {
        [self.canary.map(|canary| canary.version), self.canary.map(|canary| canary.share), self.shadow]
    }
}

/// Why the alias of `change`, which is on `version` and split like `now`, cannot be split like `wanted`, if it cannot.
pub(super) async fn refuse(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    version: u32,
    now: Split,
    wanted: Split,
) -> Result<Option<Changed>, StoreError> {
    if now == wanted {
        return Ok(Some(Changed::Unchanged));
    }
    let own = head(write, tenant, change, version).await?.map(|head| head.space).unwrap_or_default();
    for other in [wanted.canary.map(|canary| canary.version), wanted.shadow].into_iter().flatten() {
        if other == version {
            return Ok(Some(Changed::OnIt(other)));
        }
        match head(write, tenant, change, other).await? {
            None => return Ok(Some(Changed::NoSuch(other))),
            Some(head) if head.space != own => {
                return Ok(Some(Changed::Foreign { version: other, space: head.space, own }));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

async fn head(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    version: u32,
) -> Result<Option<Head>, StoreError> {
    let message: Option<Vec<u8>> =
        sql::query_scalar("SELECT message FROM heads WHERE tenant = ? AND name = ? AND version = ?")
            .bind(tenant.as_str())
            .bind(change.head.as_str())
            .bind(version)
            .fetch_optional(&mut **write)
            .await?;
    message.map(decode).transpose()
}

/// Split the alias of `change`, which is there.
pub(super) async fn put(
    write: &mut Transaction,
    tenant: &Tenant,
    change: &Change<'_>,
    split: Split,
) -> Result<(), StoreError> {
    let [canary_version, canary_share, shadow_version] = split.columns();
    sql::query(
        "UPDATE aliases SET canary_version = ?, canary_share = ?, shadow_version = ?
         WHERE tenant = ? AND head = ? AND alias = ?",
    )
    .bind(canary_version)
    .bind(canary_share)
    .bind(shadow_version)
    .bind(tenant.as_str())
    .bind(change.head.as_str())
    .bind(change.alias.as_str())
    .execute(&mut **write)
    .await?;
    Ok(())
}
