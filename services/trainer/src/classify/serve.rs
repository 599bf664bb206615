//! The head that answers for a name: the version that it stands for, or the canary of an alias.

use std::sync::Arc;

use graft_chassis::status;
use metrics::counter;
use tonic::Status;

use super::{
    cache::{HeadCache, TRIES},
    head::ServedHead,
    resolve::Route,
    target::Wanted,
    traffic::sides::Sides,
};
use crate::{
    names::{HeadRef, Tenant},
    service::heads::missing,
};

/// The head that answers.
#[derive(Clone, Debug)]
pub struct Served {
    /// The head.
    pub head: Arc<ServedHead>,
    /// The versions beside the one that the alias is on, where an alias is asked that has any.
    pub sides: Option<Arc<Sides>>,
    /// Whether it is the canary.
    pub by_canary: bool,
}

impl HeadCache {
    /// Of each request for `wanted`, by its key, whether it is the canary's.
    pub async fn to_canary(&self, tenant: &Tenant, wanted: &HeadRef, keys: &[&str]) -> Result<Vec<bool>, Status> {
        let sides = match wanted.alias() {
            Some(_) => self.0.resolver.route(tenant, wanted).await?.and_then(|route| route.sides),
            None => None,
        };
        Ok(keys.iter().map(|key| sides.as_ref().is_some_and(|sides| sides.to_canary(key))).collect())
    }

    /// The head that is meant, read if it is not ready; or its canary, if the request is the canary's and that can do what is
    /// `asked`.
    pub async fn serve(
        &self,
        tenant: &Tenant,
        wanted: &HeadRef,
        to_canary: bool,
        asked: Wanted,
    ) -> Result<Served, Status> {
        for _ in 0..TRIES {
            let Some(Route { version, sides }) = self.0.resolver.route(tenant, wanted).await? else { break };
            if to_canary
                && let Some(sides) = &sides
                && let Some(head) = self.canary(sides, asked).await
            {
                return Ok(Served { head, sides: Some(sides.clone()), by_canary: true });
            }
            if let Some(head) = self.load(&version).await? {
                return Ok(Served { head, sides, by_canary: false });
            }
            self.0.resolver.forget_head(tenant, wanted);
        }
        Err(missing(wanted))
    }

    /// The head that is meant, whether there is a canary or not.
    pub async fn get(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Arc<ServedHead>, Status> {
        let asked = Wanted { top_k: 1, detect_unknown: false };
        Ok(self.serve(tenant, wanted, false, asked).await?.head)
    }

    /// The canary, if it can do what is asked: it must not make a request fail.
    async fn canary(&self, sides: &Sides, asked: Wanted) -> Option<Arc<ServedHead>> {
        let (canary, _) = sides.canary.as_ref()?;
        let found = match self.load(canary).await {
            Ok(Some(head)) => head.check_unknown(asked).map(|()| head),
            Ok(None) => Err(status::not_found("head", &canary.version.to_string(), "it was deleted just now")),
            Err(error) => Err(error),
        };
        let failed = |error: &Status| {
            counter!("graft_trainer_canary_fallbacks_total").increment(1);
            if sides.traffic.fell_back() {
                tracing::warn!(canary = %canary.version, error = error.message(), "a canary cannot answer");
            }
        };
        found.inspect_err(failed).ok()
    }
}
