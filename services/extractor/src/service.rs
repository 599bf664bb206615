//! `graft.v1.ExtractorService`: translates between gRPC and the engines, and nothing else.

use std::{sync::Arc, time::Instant};

use graft_chassis::{deadline, status, streams};
use graft_proto::v1::{
    DType, ExtractItem, ExtractOptions, ExtractRequest, ExtractResponse, GetBackboneRequest, GetBackboneResponse,
    Image, ListBackbonesRequest, ListBackbonesResponse, Priority as WirePriority, extract_request, extract_response,
    extractor_service_server::ExtractorService, image,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    answers::{AnswerStream, Answers, NoTicket, Ticket},
    batch::Refused,
    decode::{RawPixels, Source},
    engine::{Engine, refuse},
    engines::Engines,
    input::Input,
    queue::{Job, Priority},
};

/// The longest id of an item, in bytes.
const ID_BYTES: usize = 256;

/// Serves the engines.
#[derive(Clone, Debug)]
pub struct Extractor {
    engines: Arc<Engines>,
    /// One permit a stream.
    streams: Arc<Semaphore>,
    stream_window: usize,
}

impl Extractor {
    /// Serve `engines` to at most `streams` streams at once, each with `stream_window` images under way.
    pub fn new(engines: Arc<Engines>, streams: usize, stream_window: usize) -> Extractor {
        Extractor { engines, streams: Arc::new(Semaphore::new(streams)), stream_window }
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
        let engine = self.engines.engine(&options.backbone).await?;
        expect_space(&options, &engine)?;

        let (answers, stream) = Answers::new(self.stream_window, dtype);
        let backbone = extract_response::Message::Backbone(engine.description.clone());
        answers.send(Ok(ExtractResponse { message: Some(backbone) }));
        tokio::spawn(async move {
            let _permit = permit;
            let reader = Reader { engine, priority, deadline, answers };
            if let Err(status) = reader.read(requests).await {
                reader.answers.send(Err(status));
            }
        });
        Ok(Response::new(stream))
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

/// Reads one stream's images into a queue.
struct Reader {
    engine: Arc<Engine>,
    priority: Priority,
    deadline: Option<Instant>,
    answers: Answers,
}

impl Reader {
    async fn read(&self, mut requests: Streaming<ExtractRequest>) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            match request.message {
                Some(extract_request::Message::Items(items)) => {
                    for item in items.items {
                        if !self.admit(item).await? {
                            return Ok(());
                        }
                    }
                }
                Some(extract_request::Message::Options(_)) => {
                    return Err(status::invalid("options", "given twice; only the first message holds the options"));
                }
                None => return Err(status::invalid("items", "a message without items")),
            }
        }
        Ok(())
    }

    /// Queue one image, or answer why not. `false` if there is nobody to answer.
    async fn admit(&self, item: ExtractItem) -> Result<bool, Status> {
        if item.id.is_empty() || item.id.len() > ID_BYTES {
            let found = item.id.len();
            return Err(status::invalid("items.id", format!("{found} bytes; 1 to {ID_BYTES} bytes are accepted")));
        }
        let ticket = match self.answers.ticket(item.id).await {
            Ok(ticket) => ticket,
            Err(NoTicket::Gone) => return Ok(false),
            Err(NoTicket::InUse(id)) => {
                let message = format!("`{id}` was used for an image that is not answered yet; ids must be unique");
                return Err(status::invalid("items.id", message));
            }
        };
        match source(item.image) {
            Ok(source) => Ok(self.enqueue(ticket, source).await),
            Err(status) => {
                refuse(Refused { ticket, status });
                Ok(true)
            }
        }
    }

    async fn enqueue(&self, ticket: Ticket, source: Source) -> bool {
        let queue = self.engine.queue(self.priority);
        let Some(permit) = queue.room(source.len()).await else { return false };
        let input = Input::Image(source);
        queue.push(Job { input, ticket, deadline: self.deadline, pushed: Instant::now(), permit });
        true
    }
}

fn source(image: Option<Image>) -> Result<Source, Status> {
    match image.and_then(|image| image.source) {
        Some(image::Source::Encoded(bytes)) => Ok(Source::Encoded(bytes)),
        Some(image::Source::Pixels(pixels)) => Ok(Source::Pixels(RawPixels {
            height: pixels.height,
            width: pixels.width,
            channels: pixels.channels,
            data: pixels.data,
        })),
        None => Err(status::invalid("image", "missing; encoded bytes or raw pixels are accepted")),
    }
}
