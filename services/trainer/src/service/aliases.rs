//! The calls of `HeadService` about aliases, but for the one that promotes.

use graft_chassis::status;
use graft_proto::v1::{
    Alias as Description, DeleteAliasRequest, DeleteAliasResponse, ListAliasesRequest, ListAliasesResponse,
    ListPromotionsRequest, ListPromotionsResponse, Promotion, RollBackHeadRequest, RollBackHeadResponse,
};
use tonic::Status;

use super::heads::existing;
use crate::{
    names::{Alias, HeadRef, Name, Tenant, check_caller},
    paging::Page,
    store::{
        Store,
        aliases::{Action, Change, Changed, MOST_ALIASES},
    },
};

/// The alias that is meant unless told.
const USUAL_ALIAS: &str = "production";

/// Put an alias back.
pub async fn roll_back(
    store: &Store,
    tenant: &Tenant,
    request: RollBackHeadRequest,
) -> Result<RollBackHeadResponse, Status> {
    let RollBackHeadRequest { head, alias, expected_version, by } = request;
    let (name, alias) = (Name::parse("head", &head)?, parse_or_usual(&alias)?);
    check_caller("by", &by)?;
    let seen = expected_version.map(on_version);
    let change = Change { head: &name, alias: &alias, action: Action::RollBack, seen, by: &by };
    let (promotion, skipped_versions) = made(&change, store.change_alias(tenant, &change).await?)?;
    let alias = Description {
        head,
        name: alias.to_string(),
        version: promotion.to_version,
        update_time: promotion.create_time,
        by,
        ..Default::default()
    };
    Ok(RollBackHeadResponse { alias: Some(alias), promotion: Some(promotion), skipped_versions })
}

/// Delete an alias.
pub async fn delete(
    store: &Store,
    tenant: &Tenant,
    request: DeleteAliasRequest,
) -> Result<DeleteAliasResponse, Status> {
    let DeleteAliasRequest { head, alias, expected_version, by } = request;
    let (name, alias) = (Name::parse("head", &head)?, Alias::parse("alias", &alias)?);
    check_caller("by", &by)?;
    let seen = expected_version.map(on_version);
    let change = Change { head: &name, alias: &alias, action: Action::Delete, seen, by: &by };
    let (promotion, _) = made(&change, store.change_alias(tenant, &change).await?)?;
    Ok(DeleteAliasResponse { promotion: Some(promotion) })
}

/// List aliases.
pub async fn list(store: &Store, tenant: &Tenant, request: ListAliasesRequest) -> Result<ListAliasesResponse, Status> {
    let ListAliasesRequest { head, page_size, page_token } = request;
    let head = if head.is_empty() { None } else { Some(Name::parse("head", &head)?) };
    // Two names do not fit the token of other lists.
    let size = Page::parse(page_size, "")?.size;
    let after = match &page_token[..] {
        "" => ("", ""),
        token => token
            .split_once('@')
            .filter(|(head, alias)| {
                Name::parse("page_token", head).is_ok() && Alias::parse("page_token", alias).is_ok()
            })
            .ok_or_else(|| status::invalid("page_token", "not one of ours; give back next_page_token as it came"))?,
    };
    let mut aliases = store.aliases(tenant, head.as_ref(), after, size + 1).await?;
    if let (Some(head), true, "") = (&head, aliases.is_empty(), &page_token[..]) {
        existing(store, tenant, &HeadRef::parse("head", head.as_str())?).await?;
    }
    let more = aliases.len() > size as usize;
    aliases.truncate(size as usize);
    let last = aliases.last().filter(|_| more);
    let next_page_token = last.map(|last| format!("{}@{}", last.head, last.name)).unwrap_or_default();
    Ok(ListAliasesResponse { aliases, next_page_token })
}

/// List what was done to the aliases of a head.
pub async fn history(
    store: &Store,
    tenant: &Tenant,
    request: ListPromotionsRequest,
) -> Result<ListPromotionsResponse, Status> {
    let ListPromotionsRequest { head, alias, page_size, page_token } = request;
    let name = Name::parse("head", &head)?;
    let alias = if alias.is_empty() { None } else { Some(Alias::parse("alias", &alias)?) };
    let page = Page::parse(page_size, &page_token)?;
    let before = match &page.after[..] {
        "" => None,
        token => Some(
            token
                .parse()
                .map_err(|_| status::invalid("page_token", "not one of ours; give back next_page_token as it came"))?,
        ),
    };
    let mut promotions = store.promotions(tenant, &name, alias.as_ref(), before, page.read()).await?;
    if promotions.is_empty() && before.is_none() {
        // A head that is gone may have a history; one that never was has none.
        existing(store, tenant, &HeadRef::parse("head", &head)?).await?;
    }
    let more = promotions.len() > page.size as usize;
    promotions.truncate(page.size as usize);
    let last = promotions.last().filter(|_| more);
    let next_page_token = last.map(|last| last.number.to_string()).unwrap_or_default();
    Ok(ListPromotionsResponse { promotions, next_page_token })
}

/// The alias that is meant.
pub(super) fn parse_or_usual(alias: &str) -> Result<Alias, Status> {
    Alias::parse("alias", if alias.is_empty() { USUAL_ALIAS } else { alias })
}

/// What a version of the API is; 0 is none.
pub(super) fn on_version(version: u32) -> Option<u32> {
    (version > 0).then_some(version)
}

/// The status that says that an alias is not where the caller saw it.
pub(super) fn elsewhere(head: &Name, alias: &Alias, expected: Option<u32>, found: Option<u32>) -> Status {
    let place =
        |version: Option<u32>| version.map_or("not there".to_owned(), |version| format!("on version {version}"));
    let message = format!(
        "{head}@{alias} is {}, and not {} as expected; nothing was changed; look again",
        place(found),
        place(expected).trim_start_matches("not "),
    );
    status::changed("expected_version", message)
}

/// The new entry of the history with the versions that were passed over, or the status that says why there is none.
pub(super) fn made(change: &Change<'_>, changed: Changed) -> Result<(Promotion, Vec<u32>), Status> {
    let Change { head, alias, .. } = change;
    let gone = || status::not_found("alias", &format!("{head}@{alias}"), "`graft heads aliases` lists those there are");
    Err(match changed {
        Changed::Done { promotion, skipped } => return Ok((promotion, skipped)),
        Changed::Unchanged => status::changed("alias", format!("{head}@{alias} was put on that version just now")),
        Changed::Elsewhere(found) => elsewhere(head, alias, change.seen.flatten(), found),
        Changed::NoVersion => status::not_found("head", head.as_str(), "the version was deleted just now"),
        Changed::NoAlias => gone(),
        Changed::NoEarlier => {
            let message = format!(
                "{head}@{alias} was on no other version before that is still there; `graft heads history {head}` tells where it was; \
                 promote a version instead"
            );
            status::precondition("alias", message)
        }
        Changed::TooMany => {
            let message = format!("{head} has {MOST_ALIASES} aliases, as many as it may have; delete one first");
            status::exhausted("alias", message)
        }
        Changed::NoSuch(version) => {
            status::not_found("head", &format!("{head}@{version}"), "`graft heads` lists those there are")
        }
        Changed::OnIt(version) => {
            let message = format!(
                "{head}@{alias} is on version {version} itself; another version is accepted as its canary or its shadow"
            );
            status::precondition("alias", message)
        }
        Changed::Foreign { version, space, own } => {
            let message = format!(
                "{head}@{version} classifies `{space}`, and the version that `{alias}` is on `{own}`; they must not be mixed"
            );
            status::precondition("space", message)
        }
    })
}
