//! `inference.GRPCInferenceService`: the Open Inference Protocol, for clients of Triton and KServe.
//!
//! It translates, and adds nothing: a request's images wait in the interactive queue like those of a stream.
//!
//! # Layout
//! - [`contents`]: what a tensor holds, raw or typed.
//! - [`tensors`]: the input tensor of a request becomes images.
//! - [`embed`]: the images of one request become embeddings, all or none.
//! - [`outputs`]: which outputs are wanted, and the answer with them.
//! - [`metadata`]: what the server and its models say of themselves.

pub mod contents;
pub mod embed;
pub mod metadata;
pub mod outputs;
pub mod tensors;

use std::{sync::Arc, time::Instant};

use futures::{StreamExt, stream::BoxStream};
use graft_chassis::{admin::Ready, deadline, status};
use graft_proto::{
    inference::{
        ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
        ModelReadyResponse, ModelStreamInferResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
        ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
        grpc_inference_service_server::GrpcInferenceService,
    },
    v1::Backbone,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status, Streaming};

use crate::{admission::Admission, cache::EmbeddingCache, engines::Engines, queue::Priority};

/// Requests of one stream that are under way at once, so that the next is read while one is run. Each holds a message.
const STREAMED: usize = 4;

/// Serves the engines to clients of the Open Inference Protocol.
#[derive(Clone, Debug)]
pub struct Inference {
    engines: Arc<Engines>,
    cache: Option<Arc<EmbeddingCache>>,
    /// One permit a call that embeds.
    calls: Arc<Semaphore>,
    ready: Ready,
}

impl Inference {
    /// Serve `engines` and what is in `cache` to at most `calls` calls that embed at once; `ready` says whether the
    /// extractor takes work.
    pub fn new(engines: Arc<Engines>, cache: Option<Arc<EmbeddingCache>>, calls: usize, ready: Ready) -> Inference {
        Inference { engines, cache, calls: Arc::new(Semaphore::new(calls)), ready }
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.calls.clone().try_acquire_owned().map_err(|_| {
            status::exhausted("calls", "this extractor has as many calls open as it takes (--max-streams)")
        })
    }

    /// The backbone of this name and version, either of which may be empty.
    fn model(&self, name: &str, version: &str) -> Result<Backbone, Status> {
        let backbone = self.engines.describe(name)?;
        let served = metadata::version(&backbone);
        if version.is_empty() || version == served {
            return Ok(backbone);
        }
        let hint = format!("`{}` is served in version {served}, which a request may leave empty", backbone.name);
        Err(status::not_found("version", version, &hint))
    }

    async fn infer(&self, request: ModelInferRequest, deadline: Option<Instant>) -> Result<ModelInferResponse, Status> {
        let ModelInferRequest { model_name, model_version, id, inputs, outputs, raw_input_contents, .. } = request;
        let backbone = self.model(&model_name, &model_version)?;
        outputs::check(&outputs)?;
        let images = tensors::read(inputs, raw_input_contents, metadata::input_size(&backbone))?;
        let count = images.len();
        let engine = self.engines.engine(&backbone.name).await?;
        let (priority, cache) = (Priority::Interactive, self.cache.clone());
        let admission = Admission { engine, priority, deadline, cache, recipe: None };
        let embeddings = embed::embed(&admission, images).await?;
        Ok(outputs::answer(&admission.engine.description, id, count, embeddings))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _request: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.ready.get() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        Ok(Response::new(ModelReadyResponse { ready: self.ready.get() && self.model(&name, &version).is_ok() }))
    }

    async fn server_metadata(
        &self,
        _request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(metadata::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        Ok(Response::new(metadata::model(&self.model(&name, &version)?)))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let _permit = self.permit()?;
        let deadline = deadline::of(request.metadata());
        Ok(Response::new(self.infer(request.into_inner(), deadline).await?))
    }

    type ModelStreamInferStream = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let permit = Arc::new(self.permit()?);
        let deadline = deadline::of(request.metadata());
        let inference = self.clone();
        let answers = request.into_inner().map(move |request| {
            let (inference, permit) = (inference.clone(), permit.clone());
            async move {
                let _permit = permit;
                let request = request?;
                let (model, id) = (request.model_name.clone(), request.id.clone());
                Ok(outputs::streamed(model, id, inference.infer(request, deadline).await))
            }
        });
        Ok(Response::new(answers.buffered(STREAMED).boxed()))
    }
}
