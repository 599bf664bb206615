//! `inference.GRPCInferenceService` over whatever models there are.

use std::{sync::Arc, time::Instant};

use futures::{StreamExt, stream::BoxStream};
use graft_chassis::{admin::Ready, deadline, status};
use graft_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ModelStreamInferResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
    grpc_inference_service_server::GrpcInferenceService,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status, Streaming};

use crate::outputs;

/// Requests of one stream that are under way at once, so that the next is read while one is run. Each holds a message.
const STREAMED: usize = 4;

/// The models of a server.
#[tonic::async_trait]
pub trait Models: Send + Sync + 'static {
    /// Whose models are meant.
    type Caller: Send + Sync + 'static;

    /// Whose request this is.
    fn caller<T>(request: &Request<T>) -> Self::Caller;

    /// Describe the server.
    fn server(&self) -> ServerMetadataResponse;

    /// Describe the model of this name and version, either of which may be empty.
    async fn describe(&self, caller: &Self::Caller, name: &str, version: &str)
    -> Result<ModelMetadataResponse, Status>;

    /// Answer one request by the `deadline`.
    async fn infer(
        &self,
        caller: &Self::Caller,
        request: ModelInferRequest,
        deadline: Option<Instant>,
    ) -> Result<ModelInferResponse, Status>;
}

/// The right to be served, of which there are so many.
#[derive(Clone, Debug)]
pub struct Permits {
    free: Arc<Semaphore>,
    refusal: &'static str,
}

impl Permits {
    /// So many; `refusal` says that there are no more, and which flag sets it.
    pub fn new(count: usize, refusal: &'static str) -> Permits {
        Permits { free: Arc::new(Semaphore::new(count)), refusal }
    }

    fn take(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.free.clone().try_acquire_owned().map_err(|_| status::exhausted("calls", self.refusal))
    }
}

/// Serves models to clients of the Open Inference Protocol.
#[derive(Debug)]
pub struct Inference<M> {
    models: Arc<M>,
    calls: Permits,
    streams: Permits,
    ready: Ready,
}

impl<M: Models> Inference<M> {
    /// Serve `models` to as many calls and streams at once as there are permits; `ready` says whether the server takes work.
    pub fn new(models: M, calls: Permits, streams: Permits, ready: Ready) -> Inference<M> {
        Inference { models: Arc::new(models), calls, streams, ready }
    }
}

#[tonic::async_trait]
impl<M: Models> GrpcInferenceService for Inference<M> {
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
        let caller = M::caller(&request);
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = self.ready.get() && self.models.describe(&caller, &name, &version).await.is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(self.models.server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let caller = M::caller(&request);
        let ModelMetadataRequest { name, version } = request.into_inner();
        Ok(Response::new(self.models.describe(&caller, &name, &version).await?))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let _permit = self.calls.take()?;
        let (caller, deadline) = (M::caller(&request), deadline::of(request.metadata()));
        Ok(Response::new(self.models.infer(&caller, request.into_inner(), deadline).await?))
    }

    type ModelStreamInferStream = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let deadline = deadline::of(request.metadata());
        // The permit is given back once the last answer is.
        let shared = Arc::new((self.models.clone(), M::caller(&request), self.streams.take()?));
        let answers = request.into_inner().map(move |request| {
            let shared = shared.clone();
            async move {
                let (models, caller, _permit) = &*shared;
                let request = request?;
                let (model, id) = (request.model_name.clone(), request.id.clone());
                Ok(outputs::streamed(model, id, models.infer(caller, request, deadline).await))
            }
        });
        Ok(Response::new(answers.buffered(STREAMED).boxed()))
    }
}
