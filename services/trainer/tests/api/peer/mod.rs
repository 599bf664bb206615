//! A scripted extractor and a trainer in this process, for what a real extractor does only by accident.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::place::Place;
use futures::{Stream, StreamExt, stream::BoxStream};
use graft_proto::v1::{
    Backbone, EmbeddingBatch, Example, ExampleOutcome, Examples, ExportBackboneRequest, ExportBackboneResponse,
    ExtractItem, ExtractRequest, ExtractResponse, GetBackboneRequest, GetBackboneResponse, Image,
    ImportExamplesRequest, ImportOptions, ListBackbonesRequest, ListBackbonesResponse,
    dataset_service_client::DatasetServiceClient,
    dataset_service_server::DatasetServiceServer,
    extract_request, extract_response,
    extractor_service_server::{ExtractorService, ExtractorServiceServer},
    image::Source,
    import_examples_request,
};
use graft_trainer::{
    embed::Extractor,
    names::{Name, Tenant},
    service::datasets::Datasets,
    store::{Store, datasets::DatasetRow},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, service::Routes, transport::Server};

/// Numbers in an embedding of the scripted extractor.
pub const DIMENSION: usize = 4;
/// Its embedding space.
pub const SPACE: &str = "net@0123456789abcdef";

/// Embeds an image as the first bytes of its hash, and view `n` of it as those and `n / 64`, until it has embedded `breaks_after` images; then it is gone.
#[derive(Clone)]
pub struct Peer {
    /// Images embedded so far.
    pub embedded: Arc<AtomicUsize>,
    /// When it breaks off.
    pub breaks_after: Arc<AtomicUsize>,
    /// Held by who wants it to stand still.
    pub still: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Peer {
    fn default() -> Self {
        Peer { embedded: Arc::default(), breaks_after: Arc::new(AtomicUsize::new(usize::MAX)), still: Arc::default() }
    }
}

fn backbone() -> Backbone {
    Backbone { name: "net".into(), space: SPACE.into(), dimension: DIMENSION as u32, ..Default::default() }
}

#[tonic::async_trait]
impl ExtractorService for Peer {
    async fn list_backbones(
        &self,
        _: Request<ListBackbonesRequest>,
    ) -> Result<Response<ListBackbonesResponse>, Status> {
        Ok(Response::new(ListBackbonesResponse { backbones: vec![backbone()] }))
    }

    async fn get_backbone(&self, _: Request<GetBackboneRequest>) -> Result<Response<GetBackboneResponse>, Status> {
        Ok(Response::new(GetBackboneResponse { backbone: Some(backbone()) }))
    }

    type ExtractStream = BoxStream<'static, Result<ExtractResponse, Status>>;

    async fn extract(
        &self,
        request: Request<Streaming<ExtractRequest>>,
    ) -> Result<Response<Self::ExtractStream>, Status> {
        let (answers, receiver) = mpsc::channel(8);
        tokio::spawn(self.clone().answer(request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    type ExportBackboneStream = BoxStream<'static, Result<ExportBackboneResponse, Status>>;

    async fn export_backbone(
        &self,
        _: Request<ExportBackboneRequest>,
    ) -> Result<Response<Self::ExportBackboneStream>, Status> {
        Err(Status::unimplemented("it has no network"))
    }
}

impl Peer {
    async fn answer(
        self,
        mut requests: Streaming<ExtractRequest>,
        answers: mpsc::Sender<Result<ExtractResponse, Status>>,
    ) {
        let first = extract_response::Message::Backbone(backbone());
        let mut answer = Ok(ExtractResponse { message: Some(first) });
        let mut views = 0;
        loop {
            let broken = answer.is_err();
            if answers.send(answer).await.is_err() || broken {
                return;
            }
            answer = loop {
                match requests.message().await {
                    Ok(Some(ExtractRequest { message: Some(extract_request::Message::Items(items)) })) => {
                        drop(self.still.lock().await);
                        break self.embed(items.items.into_iter(), views);
                    }
                    Ok(Some(ExtractRequest { message: Some(extract_request::Message::Options(options)) })) => {
                        views = options.augmentation.map_or(0, |augmentation| augmentation.views);
                    }
                    Ok(Some(_)) => {}
                    _ => return,
                }
            };
        }
    }

    fn embed(&self, items: impl Iterator<Item = ExtractItem>, views: u32) -> Result<ExtractResponse, Status> {
        let mut batch =
            EmbeddingBatch { space: SPACE.into(), dtype: 1, dimension: DIMENSION as u32, ..Default::default() };
        let mut data = Vec::new();
        for ExtractItem { id, image, without_views } in items {
            if self.embedded.fetch_add(1, Ordering::SeqCst) >= self.breaks_after.load(Ordering::SeqCst) {
                return Err(Status::unavailable("the power went out"));
            }
            let Some(Image { source: Some(Source::Encoded(bytes)) }) = image else { continue };
            // The plain image comes last: an order that callers must not count on.
            for view in (0..=if without_views { 0 } else { views }).rev() {
                let moved = embedding(&bytes).map(|number| number + view as f32 / 64.0);
                data.extend(moved.iter().flat_map(|number| number.to_le_bytes()));
                batch.ids.push(id.clone());
                batch.views.push(view);
            }
        }
        if views == 0 {
            batch.views.clear();
        }
        batch.data = data.into();
        Ok(ExtractResponse { message: Some(extract_response::Message::Embeddings(batch)) })
    }
}

/// What the scripted extractor makes of an encoded image.
pub fn embedding(bytes: &[u8]) -> [f32; DIMENSION] {
    let hash = *blake3::hash(bytes).as_bytes();
    std::array::from_fn(|index| f32::from(hash[index]))
}

/// Serve on a free port until the test ends.
pub async fn serve(routes: Routes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// A trainer's datasets, served in this process, with a scripted extractor.
pub struct Trainer {
    /// Its state.
    pub store: Store,
    /// Its extractor.
    pub peer: Peer,
    client: DatasetServiceClient<tonic::transport::Channel>,
}

impl Trainer {
    /// With the state in a place.
    pub async fn start(place: &Place) -> Trainer {
        let peer = Peer::default();
        let extractor = serve(Routes::new(ExtractorServiceServer::new(peer.clone()))).await;
        let store = place.open().await;
        let datasets =
            Datasets::new(store.clone(), Extractor::new(&[format!("http://{extractor}").parse().unwrap()]).unwrap(), 8);
        let service = DatasetServiceServer::new(datasets).max_decoding_message_size(16 << 20);
        let address = serve(Routes::new(service)).await;
        let client = DatasetServiceClient::connect(format!("http://{address}")).await.unwrap();
        Trainer { store, peer, client }
    }

    /// A client of its datasets.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn client(&self) -> DatasetServiceClient<tonic::transport::Channel> {
        self.client.clone()
    }

    /// A new dataset.
    pub async fn dataset(&self, name: &str) -> DatasetRow {
        let (tenant, name) = (Tenant::default(), Name::parse("name", name).unwrap());
        assert!(self.store.create_dataset(&tenant, &name, "net", SPACE, DIMENSION as u32, false).await.unwrap());
        self.store.dataset(&tenant, &name).await.unwrap().unwrap()
    }

    /// Import examples, `a_message` at a time: the outcomes, and how it ended. No message of outcomes is large.
    pub async fn import(
        &self,
        dataset: &str,
        examples: &[Example],
        a_message: usize,
    ) -> (Vec<ExampleOutcome>, Result<(), Status>) {
        let messages = messages(dataset, examples, a_message);
        self.import_messages(tokio_stream::iter(messages)).await
    }

    /// The same, for messages of any kind.
    pub async fn import_messages(
        &self,
        messages: impl Stream<Item = ImportExamplesRequest> + Send + 'static,
    ) -> (Vec<ExampleOutcome>, Result<(), Status>) {
        let mut outcomes = Vec::new();
        let mut answers = match self.client.clone().import_examples(messages).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return (outcomes, Err(status)),
        };
        loop {
            match answers.message().await {
                Ok(Some(answer)) => {
                    assert!(answer.outcomes.len() <= 256, "{} outcomes in one message", answer.outcomes.len());
                    outcomes.extend(answer.outcomes);
                }
                Ok(None) => return (outcomes, Ok(())),
                Err(status) => return (outcomes, Err(status)),
            }
        }
    }
}

/// The messages of an import, `a_message` examples in each.
pub fn messages(dataset: &str, examples: &[Example], a_message: usize) -> Vec<ImportExamplesRequest> {
    let options =
        import_examples_request::Message::Options(ImportOptions { dataset: dataset.into(), augmentation: None });
    let mut messages = vec![ImportExamplesRequest { message: Some(options) }];
    messages.extend(examples.chunks(a_message).map(|chunk| {
        let examples = import_examples_request::Message::Examples(Examples { examples: chunk.to_vec() });
        ImportExamplesRequest { message: Some(examples) }
    }));
    messages
}

/// Example `index`, with its own content.
pub fn example(index: usize, label: &str) -> Example {
    let image = Image { source: Some(Source::Encoded(format!("image {index}").into())) };
    Example { id: format!("{index}"), label: label.into(), split: 0, image: Some(image), ..Default::default() }
}
