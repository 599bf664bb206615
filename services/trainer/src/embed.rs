//! The client of the extractor: asks for embeddings and receives the stream.

use std::time::{Duration, Instant};

use graft_chassis::{serve::MESSAGE_BYTES, status};
use graft_proto::v1::{
    Augmentation, Backbone, DType, ExtractItem, ExtractItems, ExtractOptions, ExtractRequest, ExtractResponse,
    GetBackboneRequest, Image, Priority, extract_request, extract_response,
    extractor_service_client::ExtractorServiceClient, image::Source,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::fit::head::floats;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent extractor is asked whether it lives this often, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long one image may take if its caller named no deadline.
const ONE_IMAGE: Duration = Duration::from_secs(30);
/// How long the extractor may take to open a stream: it may have to load the backbone first.
const BEGIN: Duration = Duration::from_secs(120);
/// What the extractor may send ahead of our reading on one stream, in bytes.
const WINDOW: u32 = 1 << 20;

/// The extractor, wherever it is. The connection is made when it is needed, and again when it is lost.
#[derive(Clone, Debug)]
pub struct Extractor {
    url: String,
    client: ExtractorServiceClient<Channel>,
}

/// A stream of images under way. Whoever sends must bound what is unanswered.
#[derive(Debug)]
pub struct Embedding {
    url: String,
    requests: Option<mpsc::UnboundedSender<ExtractRequest>>,
    answers: Streaming<ExtractResponse>,
}

/// What came of some images.
#[derive(Debug)]
pub enum Answer {
    /// Embeddings of images, or of views of them.
    Embedded(Vec<Embedded>),
    /// An image that could not be embedded.
    Refused(String, Status),
}

/// One embedding.
#[derive(Debug)]
pub struct Embedded {
    /// The id of its image.
    pub id: String,
    /// The view of the image; 0 for the plain image.
    pub view: u32,
    /// The numbers.
    pub numbers: Vec<f32>,
}

impl Extractor {
    /// The extractor at `url`, which is not connected to yet.
    pub fn new(url: &str) -> Result<Extractor, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(8 * WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .connect_lazy();
        let client = ExtractorServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        Ok(Extractor { url: url.to_owned(), client })
    }

    /// Describe a backbone; the default one if `name` is empty.
    pub async fn backbone(&self, name: &str) -> Result<Backbone, Status> {
        let mut request = Request::new(GetBackboneRequest { name: name.to_owned() });
        request.set_timeout(ONE_IMAGE);
        let answer = self.client.clone().get_backbone(request).await.map_err(|status| explain(status, &self.url))?;
        answer.into_inner().backbone.ok_or_else(|| status::internal("the extractor described no backbone"))
    }

    /// Begin a stream of images to embed into `space`, each with the views of `augmentation`.
    pub async fn begin(
        &self,
        backbone: &str,
        space: &str,
        augmentation: Option<Augmentation>,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Embedding, Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let options = ExtractOptions {
            backbone: backbone.to_owned(),
            space: space.to_owned(),
            dtype: DType::F32 as i32,
            priority: priority as i32,
            augmentation,
        };
        // The receiver lives until the call below, so there is nobody to refuse.
        let _ = requests.send(ExtractRequest { message: Some(extract_request::Message::Options(options)) });
        let mut request = Request::new(UnboundedReceiverStream::new(receiver));
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let mut client = self.client.clone();
        let answers = tokio::time::timeout(BEGIN, client.extract(request)).await.map_err(|_| {
            status::unavailable(format!("the extractor at {} did not answer within {} s", self.url, BEGIN.as_secs()))
        })?;
        let answers = answers.map_err(|status| match explain(status, &self.url) {
            status if status.code() == Code::NotFound => status::precondition(
                "backbone",
                format!("`{space}` is needed, but of the extractor at {}: {}", self.url, status.message()),
            ),
            status => status,
        })?;
        Ok(Embedding { url: self.url.clone(), requests: Some(requests), answers: answers.into_inner() })
    }

    /// What to say of a stream that the extractor ended with images unanswered.
    pub fn ended_early(&self) -> Status {
        unreachable(&self.url, "it ended the stream before it had answered everything")
    }

    /// Embed one image for somebody who waits.
    pub async fn embed(
        &self,
        backbone: &str,
        space: &str,
        image: Image,
        deadline: Option<Instant>,
    ) -> Result<Vec<f32>, Status> {
        let deadline = deadline.unwrap_or_else(|| Instant::now() + ONE_IMAGE);
        let one = async {
            let mut embedding = self.begin(backbone, space, None, Priority::Interactive, Some(deadline)).await?;
            embedding.send(vec![("1".to_owned(), image)]);
            embedding.end();
            match embedding.next().await? {
                Some(Answer::Embedded(mut rows)) if rows.len() == 1 => Ok(rows.remove(0).numbers),
                Some(Answer::Refused(_, status)) => Err(status),
                _ => Err(self.ended_early()),
            }
        };
        match tokio::time::timeout_at(deadline.into(), one).await {
            Ok(embedded) => embedded,
            Err(_) => Err(status::too_late("the deadline passed before the image was embedded")),
        }
    }
}

impl Embedding {
    /// Send images. They are lost if the extractor is; [`next`](Self::next) tells.
    pub fn send(&self, images: Vec<(String, Image)>) {
        let item = |(id, image)| ExtractItem { id, image: Some(image), without_views: false };
        self.send_items(images.into_iter().map(item).collect());
    }

    /// The same, where some may be without views.
    pub fn send_items(&self, items: Vec<ExtractItem>) {
        let message = extract_request::Message::Items(ExtractItems { items });
        if let Some(requests) = &self.requests {
            let _ = requests.send(ExtractRequest { message: Some(message) });
        }
    }

    /// Say that no more images come.
    pub fn end(&mut self) {
        self.requests = None;
    }

    /// The next answer; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Answer>, Status> {
        loop {
            let answer = self.answers.message().await.map_err(|status| explain(status, &self.url))?;
            match answer.map(|answer| answer.message) {
                None => return Ok(None),
                Some(Some(extract_response::Message::Embeddings(batch))) => {
                    let bytes = (batch.dimension as usize * 4).max(1);
                    if batch.data.len() != bytes * batch.ids.len() {
                        return Err(status::internal("the extractor sent a batch of the wrong size"));
                    }
                    // Nothing is said of views where there are none.
                    let views = batch.views.into_iter().chain(std::iter::repeat(0));
                    let rows = batch.ids.into_iter().zip(views).zip(batch.data.chunks_exact(bytes));
                    let rows = rows.map(|((id, view), row)| Embedded { id, view, numbers: floats(row) });
                    return Ok(Some(Answer::Embedded(rows.collect())));
                }
                Some(Some(extract_response::Message::Failure(failure))) => {
                    let error = failure.error.unwrap_or_default();
                    return Ok(Some(Answer::Refused(failure.id, status::from_item_error(&error))));
                }
                Some(Some(extract_response::Message::Backbone(_)) | None) => {}
            }
        }
    }
}

/// The next answer of a stream, once there is one.
pub async fn next(embedding: &mut Option<Embedding>) -> Result<Option<Answer>, Status> {
    match embedding {
        Some(embedding) => embedding.next().await,
        None => std::future::pending().await,
    }
}

/// Bytes of an image, as it is held and sent.
pub fn size(image: &Image) -> usize {
    match &image.source {
        Some(Source::Encoded(bytes)) => bytes.len(),
        Some(Source::Pixels(pixels)) => pixels.data.len(),
        Some(Source::Uri(uri)) => uri.len(),
        None => 0,
    }
}

/// What the caller of the trainer should know of a status of the extractor.
fn explain(status: Status, url: &str) -> Status {
    // A status that was not received but made here has a source: the connection was refused or lost.
    let lost = std::error::Error::source(&status).is_some();
    match status.code() {
        Code::Unavailable => unreachable(url, &cause(&status)),
        _ if lost => unreachable(url, &cause(&status)),
        // It is said anew, without the metadata of the extractor's answer.
        code => Status::with_details(code, status.message(), status.details().to_vec().into()),
    }
}

fn unreachable(url: &str, why: &str) -> Status {
    status::unavailable(format!(
        "the extractor at {url} cannot be reached ({why}); start graft-extractor there, or name another by --extractor"
    ))
}

/// The innermost error: what the system said.
fn cause(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    match std::error::Error::source(status) {
        Some(_) => error.to_string(),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_extractor_that_is_not_there_is_named() {
        // Port 1 is the TCP port multiplexer's: nobody listens there.
        let extractor = Extractor::new("http://127.0.0.1:1").unwrap();
        let status = extractor.backbone("").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let message = status.message();
        assert!(message.contains("http://127.0.0.1:1") && message.contains("refused"), "{message}");
        let status = extractor.begin("", "", None, Priority::Bulk, None).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }

    #[test]
    fn what_the_extractor_said_is_passed_on() {
        let said = status::invalid("image.encoded", "no image");
        let passed = explain(Status::with_details(said.code(), said.message(), said.details().to_vec().into()), "u");
        assert_eq!((passed.code(), passed.message(), passed.details()), (said.code(), said.message(), said.details()));
    }
}
