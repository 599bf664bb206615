//! An alias whose traffic is split, with the versions as they can be served.

use std::sync::Arc;

use super::{SplitTraffic, bucket};
use crate::{
    classify::resolve::Resolved,
    names::{Alias, Name},
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
    /// Whether a request with this key, if any, goes to the canary.
    pub fn to_canary(&self, key: &str) -> bool {
        let Some((_, share)) = self.canary else { return false };
        let bucket = match key {
            "" => bucket::by_chance(),
            key => bucket::of_key(self.head.as_str(), self.alias.as_str(), key),
        };
        bucket < share
    }
}
