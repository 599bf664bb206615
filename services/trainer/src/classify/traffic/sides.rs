//! An alias whose traffic is split, with the versions as they can be served.

use std::sync::Arc;

use super::{SplitKey, SplitTraffic, Traffic, bucket};
use crate::{
    classify::resolve::Resolved,
    error::StoreError,
    names::{Alias, HeadRef, Name, Tenant},
    store::{Store, aliases::Split, serving::VersionRow},
};

/// The versions beside the one that an alias is on.
#[derive(Debug)]
pub struct Sides {
    /// The head.
    pub head: Name,
    /// The alias.
    pub alias: Alias,
    /// The version that answers a part of the requests, and that part in ten-thousandths.
    pub canary: Option<(Resolved, u32)>,
    /// The version that is asked besides.
    pub shadow: Option<Resolved>,
    /// How both do.
    pub traffic: Arc<SplitTraffic>,
}

impl Sides {
    /// Whether a request with this key, empty if it has none, goes to the canary.
    pub fn to_canary(&self, key: &str) -> bool {
        let Some((_, share)) = self.canary else { return false };
        let bucket = match key {
            "" => bucket::by_chance(),
            key => bucket::of_key(self.head.as_str(), self.alias.as_str(), key),
        };
        bucket < share
    }
}

/// The version that an alias is on, and those beside it. How they do is noted in `traffic`.
pub async fn find(
    store: &Store,
    traffic: &Traffic,
    tenant: &Tenant,
    head: &Name,
    alias: &Alias,
) -> Result<(Option<VersionRow>, Option<Sides>), StoreError> {
    let Some(now) = store.alias(tenant, head, alias).await? else { return Ok((None, None)) };
    let own = store.resolve_head(tenant, &HeadRef::version_of(head, now.version)).await?;
    let split = Split::of(&now);
    if own.is_none() || split == Split::default() {
        return Ok((own, None));
    }
    let canary = version_of(store, tenant, head, split.canary.map(|canary| canary.version)).await?;
    let canary = canary.zip(split.canary.map(|canary| canary.share));
    let shadow = version_of(store, tenant, head, split.shadow).await?;
    let traffic = traffic.of_split(SplitKey::new(tenant, head, alias, now.version, split));
    Ok((own, Some(Sides { head: head.clone(), alias: alias.clone(), canary, shadow, traffic })))
}

/// A version that may be told. What is gone has been deleted since: then it is neither canary nor shadow any more.
async fn version_of(
    store: &Store,
    tenant: &Tenant,
    head: &Name,
    version: Option<u32>,
) -> Result<Option<Resolved>, StoreError> {
    let Some(version) = version else { return Ok(None) };
    let row = store.resolve_head(tenant, &HeadRef::version_of(head, version)).await?;
    Ok(row.map(|row| Resolved::new(tenant, &row.name, row.version, row.space.into(), row.bytes)))
}
