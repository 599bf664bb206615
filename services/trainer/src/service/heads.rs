//! `graft.v1.HeadService`.

use graft_chassis::status;
use graft_proto::v1::{
    CompareHeadsRequest, CompareHeadsResponse, DeleteAliasRequest, DeleteAliasResponse, DeleteHeadRequest,
    DeleteHeadResponse, ExportHeadRequest, ExportHeadResponse, GetHeadRequest, GetHeadResponse, GetHeadTrafficRequest,
    GetHeadTrafficResponse, Head, ImportHeadRequest, ImportHeadResponse, ListAliasesRequest, ListAliasesResponse,
    ListHeadsRequest, ListHeadsResponse, ListPromotionsRequest, ListPromotionsResponse, PromoteHeadRequest,
    PromoteHeadResponse, Report, RollBackHeadRequest, RollBackHeadResponse, SplitTrafficRequest, SplitTrafficResponse,
    head_service_server::HeadService,
};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, aliases, compare, exchange::Exchange, promote, split, traffic};
use crate::{
    classify::{HeadCache, traffic::Traffic},
    compare::Comparer,
    embed::Extractor,
    names::{Alias, HeadRef, Tenant, Which},
    paging::Page,
    store::{
        Store,
        aliases::{Hold, Role},
        heads::Deleted,
    },
};

/// Warnings of a head in a list, at the most: the gravest.
const LISTED_WARNINGS: usize = 3;

/// Serves what is known of heads.
#[derive(Clone, Debug)]
pub struct Heads {
    store: Store,
    ready: HeadCache,
    comparer: Comparer,
    traffic: Traffic,
    exchange: Exchange,
}

impl Heads {
    /// Serve the heads of `store`, of which some are `ready`, compare them with `comparer`, and tell of their `traffic`.
    /// `extractor` knows the backbones of those that are imported.
    pub fn new(store: Store, ready: HeadCache, comparer: Comparer, extractor: Extractor, traffic: Traffic) -> Heads {
        let exchange = Exchange::new(store.clone(), extractor);
        Heads { store, ready, comparer, traffic, exchange }
    }
}

/// The head that is meant, or the status that says that there is none.
pub async fn existing(store: &Store, tenant: &Tenant, wanted: &HeadRef) -> Result<Head, Status> {
    store.head(tenant, wanted).await?.ok_or_else(|| missing(wanted))
}

/// The status that says that there is no such head.
pub fn missing(wanted: &HeadRef) -> Status {
    let hint = match &wanted.which {
        Which::Newest | Which::Version(_) => "see `graft heads` for those there are; `graft train` makes one",
        Which::Alias(_) => "see `graft heads aliases` for those there are; `graft promote` makes one",
    };
    status::not_found("head", &wanted.to_string(), hint)
}

/// Why a head is not deleted that aliases need.
fn held(wanted: &HeadRef, holds: &[Hold]) -> Status {
    let name = &wanted.name;
    let each = holds.iter().map(|Hold { alias, version, role }| match role {
        Role::Own => format!("`{alias}` is on {name}@{version}"),
        Role::Canary => format!("{name}@{version} is the canary of `{alias}`"),
        Role::Shadow => format!("{name}@{version} is the shadow of `{alias}`"),
    });
    let each = each.collect::<Vec<_>>().join(", ");
    let hint = if holds.iter().any(|hold| hold.role == Role::Own) {
        "put it on another version (`graft promote`) or delete it (`graft heads unalias`) first"
    } else {
        "end that first (`graft canary --off`, `graft shadow --off`)"
    };
    let message = format!("{wanted} is in use: {each}; {hint}");
    status::precondition("name", message)
}

/// Why an alias is no name of what to delete.
fn is_alias(wanted: &HeadRef, alias: &Alias) -> Status {
    let message = format!(
        "{wanted} names a version by its alias; name the version by its number to delete it, or delete the alias `{alias}` \
         with DeleteAlias (`graft heads unalias`)"
    );
    status::invalid("name", message)
}

/// A report as lists have it: its figures and warnings, without what grows with the classes or the examples.
fn shorten(report: &mut Report) {
    report.classes.clear();
    report.confusion.clear();
    report.l2_trials.clear();
    report.mistakes.clear();
    report.label_errors = None;
    report.learning_curve = None;
    report.warnings.truncate(LISTED_WARNINGS);
    if let Some(calibration) = &mut report.calibration {
        calibration.before.clear();
        calibration.after.clear();
    }
}

#[tonic::async_trait]
impl HeadService for Heads {
    async fn get_head(&self, request: Request<GetHeadRequest>) -> Result<Response<GetHeadResponse>, Status> {
        let wanted = HeadRef::parse("name", &request.get_ref().name)?;
        let tenant = Tenant::of(&request);
        let mut head = existing(&self.store, &tenant, &wanted).await?;
        self.store.name_aliases(&tenant, std::slice::from_mut(&mut head)).await?;
        Ok(Response::new(GetHeadResponse { head: Some(head) }))
    }

    async fn list_heads(&self, request: Request<ListHeadsRequest>) -> Result<Response<ListHeadsResponse>, Status> {
        let page = Page::parse(request.get_ref().page_size, &request.get_ref().page_token)?;
        let tenant = Tenant::of(&request);
        let mut heads = self.store.heads(&tenant, &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut heads, |head| &head.name);
        self.store.name_aliases(&tenant, &mut heads).await?;
        heads.iter_mut().filter_map(|head| head.report.as_mut()).for_each(shorten);
        let next_page_token = Page::cut_by_bytes(&mut heads, next_page_token, |head| &head.name);
        Ok(Response::new(ListHeadsResponse { heads, next_page_token }))
    }

    async fn delete_head(&self, request: Request<DeleteHeadRequest>) -> Result<Response<DeleteHeadResponse>, Status> {
        let wanted = HeadRef::parse("name", &request.get_ref().name)?;
        let tenant = Tenant::of(&request);
        if let Some(alias) = wanted.alias() {
            return Err(is_alias(&wanted, alias));
        }
        match self.store.delete_head(&tenant, &wanted).await? {
            Deleted::Done => {}
            Deleted::Held(aliases) => return Err(held(&wanted, &aliases)),
            Deleted::Nothing => {
                return Err(status::not_found(
                    "head",
                    &wanted.to_string(),
                    "nothing was deleted; see `graft heads` for those there are",
                ));
            }
        }
        self.ready.forget(&tenant, &wanted);
        Ok(Response::new(DeleteHeadResponse {}))
    }

    async fn promote_head(
        &self,
        request: Request<PromoteHeadRequest>,
    ) -> Result<Response<PromoteHeadResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(promote::promote(&self.store, &self.comparer, &tenant, request.into_inner()).await?))
    }

    async fn roll_back_head(
        &self,
        request: Request<RollBackHeadRequest>,
    ) -> Result<Response<RollBackHeadResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(aliases::roll_back(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn delete_alias(
        &self,
        request: Request<DeleteAliasRequest>,
    ) -> Result<Response<DeleteAliasResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(aliases::delete(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn list_aliases(
        &self,
        request: Request<ListAliasesRequest>,
    ) -> Result<Response<ListAliasesResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(aliases::list(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn list_promotions(
        &self,
        request: Request<ListPromotionsRequest>,
    ) -> Result<Response<ListPromotionsResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(aliases::history(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn compare_heads(
        &self,
        request: Request<CompareHeadsRequest>,
    ) -> Result<Response<CompareHeadsResponse>, Status> {
        let tenant = Tenant::of(&request);
        let found = compare::compare(&self.store, &self.comparer, &tenant, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn split_traffic(
        &self,
        request: Request<SplitTrafficRequest>,
    ) -> Result<Response<SplitTrafficResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(split::split(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn get_head_traffic(
        &self,
        request: Request<GetHeadTrafficRequest>,
    ) -> Result<Response<GetHeadTrafficResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(traffic::tell(&self.store, &self.traffic, &tenant, request.into_inner()).await?))
    }

    async fn import_head(
        &self,
        request: Request<Streaming<ImportHeadRequest>>,
    ) -> Result<Response<ImportHeadResponse>, Status> {
        let tenant = Tenant::of(&request);
        let head = self.exchange.import(&tenant, request.into_inner()).await?;
        Ok(Response::new(ImportHeadResponse { head: Some(head) }))
    }

    type ExportHeadStream = Answers<ExportHeadResponse>;

    async fn export_head(
        &self,
        request: Request<ExportHeadRequest>,
    ) -> Result<Response<Self::ExportHeadStream>, Status> {
        let wanted = HeadRef::parse("name", &request.get_ref().name)?;
        Ok(Response::new(self.exchange.export(&Tenant::of(&request), &wanted).await?))
    }
}
