//! One stream of images to one extractor.

use std::time::{Duration, Instant};

use graft_chassis::status;
use graft_proto::v1::{
    Augmentation, DType, ExtractItem, ExtractItems, ExtractOptions, ExtractRequest, ExtractResponse, Priority,
    extract_request, extract_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{Answer, Embedded, failure::Failure, member::Member};
use crate::fit::head::floats;

/// How long an extractor may take to open a stream: it may have to load the backbone first.
const BEGIN: Duration = Duration::from_secs(120);

/// How images are to be embedded.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The backbone.
    pub backbone: String,
    /// Its space: an extractor that embeds into another refuses.
    pub space: String,
    /// How views of each image are made, if there are any.
    pub augmentation: Option<Augmentation>,
    /// How soon the answers are wanted.
    pub priority: Priority,
    /// When they are of no more use.
    pub deadline: Option<Instant>,
}

/// Where the images of a stream go. Dropping it says that no more come.
#[derive(Debug)]
pub struct Images(mpsc::UnboundedSender<ExtractRequest>);

/// Where the answers of a stream come from.
#[derive(Debug)]
pub struct Answers(Streaming<ExtractResponse>);

/// Open a stream to `member`, once it takes it. The `first` images are on their way before it has said so: one that is alone need
/// not wait for that.
///
/// # Errors
/// Why it does not.
pub async fn open(member: &Member, wanted: &Wanted, first: Vec<ExtractItem>) -> Result<(Images, Answers), Failure> {
    let (requests, receiver) = mpsc::unbounded_channel();
    let options = ExtractOptions {
        backbone: wanted.backbone.clone(),
        space: wanted.space.clone(),
        dtype: DType::F32 as i32,
        priority: wanted.priority as i32,
        augmentation: wanted.augmentation.clone(),
    };
    // The receiver lives until the call below, so there is nobody to refuse.
    let _ = requests.send(ExtractRequest { message: Some(extract_request::Message::Options(options)) });
    let images = Images(requests);
    if !first.is_empty() {
        images.send(first);
    }
    let mut request = Request::new(UnboundedReceiverStream::new(receiver));
    if let Some(deadline) = wanted.deadline {
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    let mut client = member.client();
    match tokio::time::timeout(BEGIN, client.extract(request)).await {
        Ok(Ok(answers)) => Ok((images, Answers(answers.into_inner()))),
        Ok(Err(status)) => Err(match Failure::of_call(status) {
            Failure::Refused(status) => Failure::Refused(refusal(&member.url, &wanted.space, status)),
            other => other,
        }),
        Err(_) => Err(Failure::Refused(status::unavailable(format!(
            "the extractor at {} did not answer within {} s",
            member.url,
            BEGIN.as_secs()
        )))),
    }
}

/// What the caller of the trainer should know of a refusal.
fn refusal(url: &str, space: &str, status: Status) -> Status {
    match status.code() {
        Code::NotFound => status::precondition(
            "backbone",
            format!("`{space}` is needed, but of the extractor at {url}: {}", status.message()),
        ),
        _ => status,
    }
}

impl Images {
    /// Send images. They are lost if the extractor is; its answers tell.
    pub fn send(&self, items: Vec<ExtractItem>) {
        let message = extract_request::Message::Items(ExtractItems { items });
        let _ = self.0.send(ExtractRequest { message: Some(message) });
    }
}

impl Answers {
    /// The next answer; `None` after the last.
    ///
    /// # Errors
    /// What ended the stream.
    pub async fn next(&mut self) -> Result<Option<Answer>, Failure> {
        loop {
            let answer = self.0.message().await.map_err(Failure::of_stream)?;
            match answer.map(|answer| answer.message) {
                None => return Ok(None),
                Some(Some(extract_response::Message::Embeddings(batch))) => {
                    let bytes = (batch.dimension as usize * 4).max(1);
                    if batch.data.len() != bytes * batch.ids.len() {
                        let wrong = status::internal("the extractor sent a batch of the wrong size");
                        return Err(Failure::Failed(wrong));
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
