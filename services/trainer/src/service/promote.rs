//! The call of `HeadService` that puts an alias on a version, if the gate lets it through.

use graft_chassis::status;
use graft_proto::v1::{Alias as Description, Gate, GateOutcome, Head, PromoteHeadRequest, PromoteHeadResponse};
use tonic::Status;

use super::{
    aliases::{elsewhere, made, on_version, parse_or_usual},
    heads::existing,
};
use crate::{
    compare::{
        Comparer,
        gate::{self, Measured, Weighed},
    },
    names::{Alias, HeadRef, Name, Tenant, check_caller},
    store::{
        Store,
        aliases::{Action, Change},
    },
};

/// Put an alias on a version.
pub async fn promote(
    store: &Store,
    comparer: &Comparer,
    tenant: &Tenant,
    request: PromoteHeadRequest,
) -> Result<PromoteHeadResponse, Status> {
    let PromoteHeadRequest { head, alias, tolerance, force, expected_version, by } = request;
    let wanted = HeadRef::parse("head", &head)?;
    let alias = parse_or_usual(&alias)?;
    let tolerance = gate::check_tolerance(tolerance)?;
    check_caller("by", &by)?;
    let head = existing(store, tenant, &wanted).await?;
    let current = store.alias(tenant, &wanted.name, &alias).await?;
    let seen = current.as_ref().map(|current| current.version);
    if let Some(expected) = expected_version.map(on_version).filter(|expected| *expected != seen) {
        return Err(elsewhere(&wanted.name, &alias, expected, seen));
    }
    if seen == Some(head.version) {
        let gate = gate::unmeasured(GateOutcome::Unchanged, "the alias is on that version already", tolerance);
        return Ok(PromoteHeadResponse { alias: current, promotion: None, gate: Some(gate) });
    }
    let promotion = Promotion { store, comparer, tenant, head: &head, alias: &alias, tolerance, force };
    let (gate, forced) = promotion.pass(seen).await?;
    let action = Action::Promote { version: head.version, forced };
    let change = Change { head: &wanted.name, alias: &alias, action, seen: Some(seen), by: &by };
    let (promotion, _) = made(&change, store.change_alias(tenant, &change).await?)?;
    let alias = Description {
        head: head.name,
        name: alias.to_string(),
        version: head.version,
        update_time: promotion.create_time,
        by,
        ..Default::default()
    };
    Ok(PromoteHeadResponse { alias: Some(alias), promotion: Some(promotion), gate: Some(gate) })
}

/// A version on its way to an alias.
struct Promotion<'a> {
    store: &'a Store,
    comparer: &'a Comparer,
    tenant: &'a Tenant,
    head: &'a Head,
    alias: &'a Alias,
    tolerance: f64,
    force: bool,
}

impl Promotion<'_> {
    /// Whether the version may take the place of `current`, and whether by force.
    async fn pass(&self, current: Option<u32>) -> Result<(Gate, bool), Status> {
        let Some(current) = current else {
            let note = "the alias is new: there is nothing to compare with";
            return Ok((gate::unmeasured(GateOutcome::NewAlias, note, self.tolerance), false));
        };
        let measured = match self.weigh(current).await {
            Ok(Weighed::Measured(measured)) => measured,
            Ok(Weighed::Impossible(reason)) => {
                return Ok((gate::unmeasured(GateOutcome::NotCompared, reason, self.tolerance), false));
            }
            Err(failed) if self.force => {
                let note = format!("comparing the two failed: {}", failed.message());
                return Ok((gate::unmeasured(GateOutcome::NotCompared, note, self.tolerance), true));
            }
            Err(failed) => return Err(failed),
        };
        match measured.worse(self.tolerance) {
            worse if worse.is_empty() => Ok((measured.told(GateOutcome::Passed, self.tolerance), false)),
            _ if self.force => Ok((measured.told(GateOutcome::Overruled, self.tolerance), true)),
            worse => Err(self.refuse(current, &worse, &measured)),
        }
    }

    async fn weigh(&self, current: u32) -> Result<Weighed, Status> {
        let name = Name::parse("head", &self.head.name)?;
        let current = existing(self.store, self.tenant, &HeadRef::version_of(&name, current)).await?;
        Ok(self.comparer.weigh(self.tenant, &current, self.head).await?)
    }

    fn refuse(&self, current: u32, worse: &str, measured: &Measured) -> Status {
        let (Head { name, version, .. }, Self { alias, tolerance, .. }) = (self.head, self);
        let note = if measured.note.is_empty() { String::new() } else { format!(" ({})", measured.note) };
        let message = format!(
            "{name}@{version} is worse than {name}@{current}, which `{alias}` is on: {worse}, on {} test examples of snapshot \
             {}{note}; {tolerance} less is tolerated; see `graft diff {name}@{current} {name}@{version}`, and promote it with \
             force if it is to be all the same",
            measured.test_count,
            measured.snapshot.get(..12).unwrap_or(&measured.snapshot),
        );
        status::precondition("head", message)
    }
}
