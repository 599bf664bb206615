//! Services whose answers, failures and delays are told to them, and that remember what they were asked.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt};
use graft_proto::v1::{
    Backbone, CollectGarbageRequest, CollectGarbageResponse, DType, EmbeddingBatch, ExportBackboneRequest,
    ExportBackboneResponse, ExtractItem, ExtractRequest, ExtractResponse, GetBackboneRequest, GetBackboneResponse,
    ListBackbonesRequest, ListBackbonesResponse, extract_request, extract_response,
    extractor_service_server::ExtractorService, maintenance_service_server::MaintenanceService,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

/// The services; copies share what they are told.
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
pub struct Script {
    /// What the next calls fail with, each once.
    pub failures: VecDeque<Status>,
    /// How long every unary answer takes.
    pub delay: Duration,
    /// After how many embeddings the next streams break off; streams beyond these do not.
    pub breaks: VecDeque<usize>,
    /// The metadata of each call that came.
    pub calls: Vec<MetadataMap>,
    /// The options of each stream.
    pub streams: Vec<graft_proto::v1::ExtractOptions>,
}

impl Scripted {
    pub fn script<T>(&self, with: impl FnOnce(&mut Script) -> T) -> T {
        with(&mut self.0.lock().unwrap())
    }

    /// How many calls have come.
    pub fn calls(&self) -> usize {
        self.script(|script| script.calls.len())
    }

    async fn answer<Q, A>(&self, request: Request<Q>, answer: A) -> Result<Response<A>, Status> {
        let (failure, delay) = self.script(|script| {
            script.calls.push(request.metadata().clone());
            (script.failures.pop_front(), script.delay)
        });
        tokio::time::sleep(delay).await;
        failure.map_or(Ok(Response::new(answer)), Err)
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MaintenanceService for Scripted {
    async fn collect_garbage(
        &self,
        request: Request<CollectGarbageRequest>,
    ) -> Result<Response<CollectGarbageResponse>, Status> {
        self.answer(request, CollectGarbageResponse::default()).await
    }
}

#[tonic::async_trait]
impl ExtractorService for Scripted {
    type ExtractStream = Answers<ExtractResponse>;
    type ExportBackboneStream = Answers<ExportBackboneResponse>;

    async fn list_backbones(
        &self,
        request: Request<ListBackbonesRequest>,
    ) -> Result<Response<ListBackbonesResponse>, Status> {
        self.answer(request, ListBackbonesResponse::default()).await
    }

    async fn get_backbone(
        &self,
        request: Request<GetBackboneRequest>,
    ) -> Result<Response<GetBackboneResponse>, Status> {
        self.answer(request, GetBackboneResponse::default()).await
    }

    async fn export_backbone(
        &self,
        request: Request<ExportBackboneRequest>,
    ) -> Result<Response<Answers<ExportBackboneResponse>>, Status> {
        let nothing: Answers<ExportBackboneResponse> = Box::pin(futures::stream::empty());
        self.answer(request, nothing).await
    }

    async fn extract(
        &self,
        request: Request<Streaming<ExtractRequest>>,
    ) -> Result<Response<Answers<ExtractResponse>>, Status> {
        let (failure, breaks) = self.script(|script| {
            script.calls.push(request.metadata().clone());
            (script.failures.pop_front(), script.breaks.pop_front())
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        let (answers, receiver) = mpsc::channel(4);
        let (me, inbound) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            if let Err(status) = me.embed(inbound, &answers, breaks.unwrap_or(usize::MAX)).await {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// What an image's embedding is: its bytes, counted and added.
pub fn embedding(item: &ExtractItem) -> [f32; 2] {
    let bytes = match item.image.as_ref().and_then(|image| image.source.as_ref()) {
        Some(graft_proto::v1::image::Source::Encoded(bytes)) => bytes.clone(),
        _ => Default::default(),
    };
    [bytes.len() as f32, bytes.iter().map(|byte| f32::from(*byte)).sum()]
}

impl Scripted {
    async fn embed(
        &self,
        mut inbound: Streaming<ExtractRequest>,
        answers: &mpsc::Sender<Result<ExtractResponse, Status>>,
        breaks: usize,
    ) -> Result<(), Status> {
        let say = |message| answers.send(Ok(ExtractResponse { message: Some(message) }));
        let gone = |_| Status::cancelled("nobody listens");
        let backbone = Backbone { space: "net@1".into(), dimension: 2, ..Backbone::default() };
        say(extract_response::Message::Backbone(backbone)).await.map_err(gone)?;
        let mut count = 0;
        while let Some(message) = inbound.message().await? {
            let items = match message.message {
                Some(extract_request::Message::Items(items)) => items.items,
                Some(extract_request::Message::Options(options)) => {
                    self.script(|script| script.streams.push(options));
                    continue;
                }
                None => continue,
            };
            for item in items {
                if count == breaks {
                    return Err(Status::unavailable("broken off, as told"));
                }
                count += 1;
                let data = embedding(&item).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
                let batch = EmbeddingBatch {
                    space: "net@1".into(),
                    dtype: DType::F32 as i32,
                    dimension: 2,
                    ids: vec![item.id],
                    data: data.into(),
                    views: Vec::new(),
                };
                say(extract_response::Message::Embeddings(batch)).await.map_err(gone)?;
            }
        }
        Ok(())
    }
}
