//! Traffic: which version answers a request for an alias, and what versions are asked.
//!
//! An alias may have a canary, which answers a part of its requests, and a shadow, which is asked besides. What each version
//! answers is counted, and compared with what it answered on its test split: where both are far apart, the inputs have drifted
//! from those that the head was fitted on. All figures are of this replica, and of the last answers.
//!
//! # Layout
//! - [`sides`]: an alias with its canary and shadow; [`bucket`]: which requests the canary answers. [`shadow`]: asks shadows.
//! - [`version`]: what one version was asked; [`split`]: how the canary and the shadow of an alias do. Both count in [`windows`].
//! - [`baseline`]: what a version answered on its test split; [`psi`]: how far that is from what it answers now.
//! - [`recent`]: a bounded number of them. [`watch`]: tells of drift in the log and the metrics.

use std::sync::Arc;

use parking_lot::Mutex;

use self::recent::{LastUsed, Recent};
use super::resolve::HeadVersion;
use crate::{
    names::{Alias, HeadRef, Name, Tenant},
    store::aliases::Split,
};

pub mod baseline;
pub mod bucket;
pub mod psi;
pub mod recent;
pub mod shadow;
pub mod sides;
pub mod split;
pub mod version;
pub mod watch;
pub mod windows;

pub use split::SplitTraffic;
pub use version::VersionTraffic;

/// The traffic of this replica.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    versions: Mutex<Recent<HeadVersion, VersionTraffic>>,
    splits: Mutex<Recent<SplitKey, SplitTraffic>>,
}

/// An alias, for as long as neither its version nor its canary or shadow is another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SplitKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// The head.
    pub head: Name,
    /// The alias.
    pub alias: Alias,
    /// The version that it is on.
    pub version: u32,
    /// The version that is its canary.
    pub canary: Option<u32>,
    /// The version that is its shadow.
    pub shadow: Option<u32>,
}

impl SplitKey {
    /// That of an alias of a head, which is on `version` and split like this.
    pub fn new(tenant: &Tenant, head: &Name, alias: &Alias, version: u32, split: Split) -> SplitKey {
        SplitKey {
            tenant: tenant.clone(),
            head: head.clone(),
            alias: alias.clone(),
            version,
            canary: split.canary.map(|canary| canary.version),
            shadow: split.shadow,
        }
    }
}

impl LastUsed for VersionTraffic {
    fn last_used(&self) -> i64 {
        self.last()
    }
}

impl LastUsed for SplitTraffic {
    fn last_used(&self) -> i64 {
        self.last()
    }
}

impl Traffic {
    /// That of a version; `make` is the beginning of it.
    pub fn of_version(&self, version: &HeadVersion, make: impl FnOnce() -> VersionTraffic) -> Arc<VersionTraffic> {
        self.0.versions.lock().get(version.clone(), make)
    }

    /// That of an alias whose traffic is split.
    pub fn of_split(&self, key: SplitKey) -> Arc<SplitTraffic> {
        self.0.splits.lock().get(key, SplitTraffic::default)
    }

    /// That of all versions.
    pub fn versions(&self) -> Vec<(HeadVersion, Arc<VersionTraffic>)> {
        let versions = self.0.versions.lock();
        versions.iter().map(|(version, traffic)| (version.clone(), traffic.clone())).collect()
    }

    /// That of the versions of a head, or of the one that is meant by its number; the newest first.
    pub fn of_head(&self, tenant: &Tenant, wanted: &HeadRef) -> Vec<(u32, Arc<VersionTraffic>)> {
        let versions = self.0.versions.lock();
        let meant = versions.iter().filter(|(version, _)| version.is(tenant, wanted));
        let mut found: Vec<_> = meant.map(|(version, traffic)| (version.version, traffic.clone())).collect();
        found.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
        found
    }

    /// How the canary and the shadow of an alias do.
    pub fn split_figures(&self, key: &SplitKey) -> split::Figures {
        self.0.splits.lock().peek(key).map(|traffic| traffic.figures()).unwrap_or_default()
    }

    /// What was deleted has none.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        self.0.versions.lock().retain(|version| !version.is(tenant, wanted));
    }
}
