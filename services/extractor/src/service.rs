//! `graft.v1.ExtractorService`: translates between gRPC and the engines, and nothing else.

use std::sync::Arc;

use graft_chassis::{deadline, status, streams};
use graft_proto::{
    augmentation,
    v1::{
        DType, ExportBackboneRequest, ExtractOptions, ExtractRequest, ExtractResponse, GetBackboneRequest,
        GetBackboneResponse, ListBackbonesRequest, ListBackbonesResponse, Priority as WirePriority, extract_request,
        extract_response, extractor_service_server::ExtractorService,
    },
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    admission::Admission,
    answers::{AnswerStream, Answers},
    augment::Recipe,
    cache::EmbeddingCache,
    engine::Engine,
    engines::Engines,
    export::{Export, Parts},
    fetch::{Fetcher, Fetching},
    queue::Priority,
    reader::Reader,
};

/// Serves the engines.
#[derive(Clone, Debug)]
pub struct Extractor {
    engines: Arc<Engines>,
    cache: Option<Arc<EmbeddingCache>>,
    fetcher: Option<Arc<Fetcher>>,
    /// One permit a stream.
    streams: Arc<Semaphore>,
    stream_window: usize,
    export: Export,
}

impl Extractor {
    /// Serve `engines` and what is in `cache` to at most `streams` streams at once, each with `stream_window` images
    /// under way. Without `fetcher`, images by URI are refused.
    pub fn new(
        engines: Arc<Engines>,
        cache: Option<Arc<EmbeddingCache>>,
        fetcher: Option<Arc<Fetcher>>,
        streams: usize,
        stream_window: usize,
    ) -> Extractor {
        let (streams, export) = (Arc::new(Semaphore::new(streams)), Export::default());
        Extractor { engines, cache, fetcher, streams, stream_window, export }
    }
}

#[tonic::async_trait]
impl ExtractorService for Extractor {
    async fn list_backbones(
        &self,
        _request: Request<ListBackbonesRequest>,
    ) -> Result<Response<ListBackbonesResponse>, Status> {
        Ok(Response::new(ListBackbonesResponse { backbones: self.engines.descriptions() }))
    }

    async fn get_backbone(
        &self,
        request: Request<GetBackboneRequest>,
    ) -> Result<Response<GetBackboneResponse>, Status> {
        let backbone = self.engines.describe(&request.get_ref().name)?;
        Ok(Response::new(GetBackboneResponse { backbone: Some(backbone) }))
    }

    type ExtractStream = AnswerStream;

    async fn extract(&self, request: Request<Streaming<ExtractRequest>>) -> Result<Response<AnswerStream>, Status> {
        let deadline = deadline::of(request.metadata());
        let mut requests = request.into_inner();
        let options = first_options(&mut requests).await?;
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| {
            status::exhausted("streams", "this extractor has as many streams open as it takes (--max-streams)")
        })?;
        let dtype = dtype(&options)?;
        let priority = priority(&options)?;
        let recipe = recipe(&options)?;
        let engine = self.engines.engine(&options.backbone).await?;
        expect_space(&options, &engine)?;

        let views = recipe.as_ref().map_or(0, |recipe| recipe.views());
        let (answers, stream) = Answers::with_views(self.stream_window, dtype, views);
        let backbone = extract_response::Message::Backbone(engine.description.clone());
        answers.send(Ok(ExtractResponse { message: Some(backbone) }));
        let fetching = self.fetcher.as_ref().map(|fetcher| Fetching::new(fetcher.clone()));
        let admission = Admission { engine, priority, deadline, cache: self.cache.clone(), recipe };
        tokio::spawn(async move {
            let _permit = permit;
            let mut reader = Reader::new(admission, answers, fetching);
            if let Err(status) = reader.read(requests).await {
                reader.fail(status);
            }
        });
        Ok(Response::new(stream))
    }

    type ExportBackboneStream = Parts;

    async fn export_backbone(&self, request: Request<ExportBackboneRequest>) -> Result<Response<Parts>, Status> {
        Ok(Response::new(self.export.open(&self.engines, &request.get_ref().name).await?))
    }
}

async fn first_options(requests: &mut Streaming<ExtractRequest>) -> Result<ExtractOptions, Status> {
    match streams::first(requests).await?.and_then(|request| request.message) {
        Some(extract_request::Message::Options(options)) => Ok(options),
        Some(extract_request::Message::Items(_)) | None => {
            Err(status::invalid("options", "the first message of the stream must hold the options"))
        }
    }
}

fn dtype(options: &ExtractOptions) -> Result<DType, Status> {
    DType::try_from(options.dtype).map_err(|_| {
        status::invalid(
            "options.dtype",
            format!("{} is unknown; D_TYPE_F32 and D_TYPE_F16 are accepted", options.dtype),
        )
    })
}

fn priority(options: &ExtractOptions) -> Result<Priority, Status> {
    match WirePriority::try_from(options.priority) {
        Ok(WirePriority::Unspecified | WirePriority::Bulk) => Ok(Priority::Bulk),
        Ok(WirePriority::Interactive) => Ok(Priority::Interactive),
        Err(_) => Err(status::invalid(
            "options.priority",
            format!("{} is unknown; PRIORITY_BULK and PRIORITY_INTERACTIVE are accepted", options.priority),
        )),
    }
}

/// How views of the images are made, if there are any.
fn recipe(options: &ExtractOptions) -> Result<Option<Arc<Recipe>>, Status> {
    let Some(asked) = &options.augmentation else { return Ok(None) };
    let resolved = augmentation::resolve(asked)
        .map_err(|bad| status::invalid(&format!("options.augmentation.{}", bad.field), bad.message))?;
    Ok(resolved.map(|resolved| Arc::new(Recipe::new(&resolved))))
}

fn expect_space(options: &ExtractOptions, engine: &Engine) -> Result<(), Status> {
    let space = &engine.description.space;
    if options.space.is_empty() || options.space == *space {
        return Ok(());
    }
    Err(status::precondition(
        "options.space",
        format!(
            "`{}` was asked for, but this extractor embeds into `{space}`; they must not be mixed",
            status::quoted(&options.space)
        ),
    ))
}
