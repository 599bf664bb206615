//! `graft.v1.HeadService`.

use graft_chassis::status;
use graft_proto::v1::{
    DeleteHeadRequest, DeleteHeadResponse, ExportHeadRequest, ExportHeadResponse, GetHeadRequest, GetHeadResponse,
    Head, ImportHeadRequest, ImportHeadResponse, ListHeadsRequest, ListHeadsResponse, Report,
    head_service_server::HeadService,
};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, exchange::Exchange};
use crate::{
    classify::HeadCache,
    embed::Extractor,
    names::{HeadRef, Tenant},
    paging::Page,
    store::Store,
};

/// Warnings of a head in a list, at the most: the gravest.
const LISTED_WARNINGS: usize = 3;

/// Serves what is known of heads.
#[derive(Clone, Debug)]
pub struct Heads {
    store: Store,
    ready: HeadCache,
    exchange: Exchange,
}

impl Heads {
    /// Serve the heads of `store`, of which some are `ready`. `extractor` knows the backbones of those that are imported.
    pub fn new(store: Store, ready: HeadCache, extractor: Extractor) -> Heads {
        let exchange = Exchange::new(store.clone(), extractor);
        Heads { store, ready, exchange }
    }
}

/// The head that is meant, or the status that says that there is none.
pub async fn existing(store: &Store, tenant: &Tenant, wanted: &HeadRef) -> Result<Head, Status> {
    let hint = "see `graft heads` for those there are; `graft train` makes one";
    store.head(tenant, wanted).await?.ok_or_else(|| status::not_found("head", &wanted.to_string(), hint))
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
        let head = existing(&self.store, &Tenant::of(&request), &wanted).await?;
        Ok(Response::new(GetHeadResponse { head: Some(head) }))
    }

    async fn list_heads(&self, request: Request<ListHeadsRequest>) -> Result<Response<ListHeadsResponse>, Status> {
        let page = Page::parse(request.get_ref().page_size, &request.get_ref().page_token)?;
        let mut heads = self.store.heads(&Tenant::of(&request), &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut heads, |head| &head.name);
        heads.iter_mut().filter_map(|head| head.report.as_mut()).for_each(shorten);
        let next_page_token = Page::cut_by_bytes(&mut heads, next_page_token, |head| &head.name);
        Ok(Response::new(ListHeadsResponse { heads, next_page_token }))
    }

    async fn delete_head(&self, request: Request<DeleteHeadRequest>) -> Result<Response<DeleteHeadResponse>, Status> {
        let wanted = HeadRef::parse("name", &request.get_ref().name)?;
        let tenant = Tenant::of(&request);
        if !self.store.delete_head(&tenant, &wanted).await? {
            return Err(status::not_found(
                "head",
                &wanted.to_string(),
                "nothing was deleted; see `graft heads` for those there are",
            ));
        }
        self.ready.forget(&tenant, &wanted);
        Ok(Response::new(DeleteHeadResponse {}))
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
