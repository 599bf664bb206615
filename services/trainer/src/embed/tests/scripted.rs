//! An extractor that plays a part: it serves the real contract on a real port, and its embeddings are `[length of id, view]`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use graft_chassis::status;
use graft_proto::v1::{
    EmbeddingBatch, ExportBackboneRequest, ExportBackboneResponse, ExtractItem, ExtractOptions, ExtractRequest,
    ExtractResponse, GetBackboneRequest, GetBackboneResponse, ListBackbonesRequest, ListBackbonesResponse,
    extract_request, extract_response,
    extractor_service_server::{ExtractorService, ExtractorServiceServer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

/// What it does.
#[derive(Clone, Copy)]
pub struct Part {
    /// The only space that it embeds into.
    pub space: &'static str,
    /// How long each image takes; one after the other.
    pub takes: Duration,
    /// Whether the stream is lost when this image comes. Its plain image is answered before, if it has views.
    pub lose: fn(&str) -> bool,
}

impl Default for Part {
    fn default() -> Part {
        Part { space: "space", takes: Duration::ZERO, lose: |_| false }
    }
}

/// One that runs. Dropping it breaks its connections off, as the end of a process does.
pub struct Scripted {
    address: SocketAddr,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Counts {
    embedded: AtomicUsize,
    lost: AtomicUsize,
}

impl Scripted {
    pub async fn start(part: Part) -> Scripted {
        Scripted::start_at("127.0.0.1:0", part).await
    }

    /// Start it where another one was, perhaps just now.
    pub async fn start_at(address: &str, part: Part) -> Scripted {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        };
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let service = ExtractorServiceServer::new(Service { part, counts: counts.clone() });
        let served = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        runtime.spawn(async move { served.await.unwrap() });
        Scripted { address, counts, runtime: Some(runtime) }
    }

    /// Stop it, and wait until nobody can connect.
    pub async fn stop(self) -> SocketAddr {
        let address = self.address;
        drop(self);
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        address
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Images that it has embedded.
    pub fn embedded(&self) -> usize {
        self.counts.embedded.load(Ordering::Relaxed)
    }

    /// Streams that it has lost.
    pub fn lost(&self) -> usize {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    part: Part,
    counts: Arc<Counts>,
}

#[tonic::async_trait]
impl ExtractorService for Service {
    async fn list_backbones(
        &self,
        _request: Request<ListBackbonesRequest>,
    ) -> Result<Response<ListBackbonesResponse>, Status> {
        Ok(Response::new(ListBackbonesResponse::default()))
    }

    async fn get_backbone(
        &self,
        _request: Request<GetBackboneRequest>,
    ) -> Result<Response<GetBackboneResponse>, Status> {
        Ok(Response::new(GetBackboneResponse { backbone: Some(Default::default()) }))
    }

    type ExtractStream = BoxStream<'static, Result<ExtractResponse, Status>>;

    async fn extract(
        &self,
        request: Request<Streaming<ExtractRequest>>,
    ) -> Result<Response<Self::ExtractStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(extract_request::Message::Options(options)) = first else { panic!("options come first") };
        if options.space != self.part.space {
            return Err(status::precondition("options.space", format!("this embeds into `{}`", self.part.space)));
        }
        let (part, counts) = (self.part, self.counts.clone());
        let items = requests.flat_map(|request| match request.map(|request| request.message) {
            Ok(Some(extract_request::Message::Items(items))) => futures::stream::iter(items.items),
            // The caller went away.
            _ => futures::stream::iter(Vec::new()),
        });
        let answers = items.then(move |item| answer(part, options.clone(), item, counts.clone()));
        // After the first error there is nothing more.
        let ended = answers.flat_map(futures::stream::iter).scan(false, |ended, answer| {
            let next = (!*ended).then_some(answer);
            *ended |= next.as_ref().is_some_and(Result::is_err);
            std::future::ready(next)
        });
        Ok(Response::new(ended.boxed()))
    }

    type ExportBackboneStream = BoxStream<'static, Result<ExportBackboneResponse, Status>>;

    async fn export_backbone(
        &self,
        _: Request<ExportBackboneRequest>,
    ) -> Result<Response<Self::ExportBackboneStream>, Status> {
        Err(Status::unimplemented("it has no network"))
    }
}

async fn answer(
    part: Part,
    options: ExtractOptions,
    item: ExtractItem,
    counts: Arc<Counts>,
) -> Vec<Result<ExtractResponse, Status>> {
    tokio::time::sleep(part.takes).await;
    let views = options.augmentation.map_or(0, |augmentation| augmentation.views);
    let row = |view| {
        let numbers = [item.id.len() as f32, view as f32];
        let batch = EmbeddingBatch {
            ids: vec![item.id.clone()],
            views: vec![view],
            dimension: 2,
            data: numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into(),
            ..Default::default()
        };
        Ok(ExtractResponse { message: Some(extract_response::Message::Embeddings(batch)) })
    };
    if (part.lose)(&item.id) {
        counts.lost.fetch_add(1, Ordering::Relaxed);
        let lost = Err(Status::unavailable("it was lost"));
        return if views > 0 { vec![row(0), lost] } else { vec![lost] };
    }
    counts.embedded.fetch_add(1, Ordering::Relaxed);
    (0..=views).map(row).collect()
}
