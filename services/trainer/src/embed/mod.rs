//! The client of the extractors: asks for embeddings and receives them.
//!
//! There may be any number of extractors. Each image goes to the one that has least to do; what a lost one has not answered
//! goes to another.
//!
//! # Layout
//! - [`endpoints`]: where extractors are, and what their names mean at the moment.
//! - [`pool`]: who there is; [`member`]: one of them, whether it can be reached, and how much it has to do.
//! - [`stream`]: one stream to one extractor. [`failure`]: what its end means.
//! - `single` is a call to one after the other, until one answers.
//! - `spread` is one stream of images over many extractors: `links` are its streams, `unanswered` its images.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use graft_chassis::status;
use graft_proto::v1::{Augmentation, Backbone, ExtractItem, Image, Priority, image::Source};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use self::{
    endpoints::{Endpoint, EndpointError},
    pool::Pool,
    spread::Spread,
    stream::Wanted,
};

pub mod endpoints;
pub mod failure;
mod links;
pub mod member;
pub mod pool;
mod single;
mod spread;
pub mod stream;
#[cfg(test)]
mod tests;
mod unanswered;

/// How long a call without a deadline may take.
const ONE_IMAGE: Duration = Duration::from_secs(30);
/// How long an extractor is waited for where none can be reached.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often those that cannot be reached are tried while somebody waits for one.
const TRY: Duration = Duration::from_millis(500);
/// Losses of extractors that had an image before it is taken to be the reason.
const MOST_LOSSES: usize = 3;
/// Messages of answers that the caller has not read, at the most.
const ANSWERS_OUT: usize = 16;
/// Extractors that a caller has work under way for, at the most.
const MOST_AT_ONCE: usize = 64;

/// The extractors, wherever they are. Connections are made again when they are lost.
#[derive(Clone, Debug)]
pub struct Extractor {
    pool: Arc<Pool>,
}

/// A stream of images under way. Whoever sends must bound what is unanswered.
#[derive(Debug)]
pub struct Embedding {
    images: Option<mpsc::UnboundedSender<Vec<ExtractItem>>>,
    answers: mpsc::Receiver<Result<Answer, Status>>,
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
    /// The extractors at `endpoints`, which are looked for from now on. It must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// An endpoint that cannot be connected to, whoever listens there.
    pub fn new(endpoints: &[Endpoint]) -> Result<Extractor, EndpointError> {
        Ok(Extractor { pool: Pool::start(endpoints, endpoints::EVERY, endpoints::look_up)? })
    }

    /// How many extractors there is work for: those that can be reached, 1 to 64. Who bounds what is unanswered allows so
    /// many times what one extractor needs to be busy.
    pub fn count(&self) -> usize {
        self.pool.count().clamp(1, MOST_AT_ONCE)
    }

    /// Describe a backbone; the default one if `name` is empty.
    pub async fn backbone(&self, name: &str) -> Result<Backbone, Status> {
        let asked = single::backbone(&self.pool, name);
        tokio::time::timeout(ONE_IMAGE, asked).await.unwrap_or_else(|_| Err(self.pool.unreachable(&[])))
    }

    /// Begin a stream of images to embed into `space`, each with the views of `augmentation`.
    ///
    /// # Errors
    /// What the extractors said if none takes the stream, or UNAVAILABLE if none can be reached for a while.
    pub async fn begin(
        &self,
        backbone: &str,
        space: &str,
        augmentation: Option<Augmentation>,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Embedding, Status> {
        let wanted =
            Wanted { backbone: backbone.to_owned(), space: space.to_owned(), augmentation, priority, deadline };
        let (images, sent) = mpsc::unbounded_channel();
        let (told, answers) = mpsc::channel(ANSWERS_OUT);
        let (begun, begins) = oneshot::channel();
        tokio::spawn(Spread::new(self.pool.clone(), wanted, sent, told, begun).run());
        begins.await.unwrap_or_else(|_| Err(self.ended_early()))?;
        Ok(Embedding { images: Some(images), answers })
    }

    /// What to say of a stream that ended with images unanswered.
    pub fn ended_early(&self) -> Status {
        status::unavailable("the extractors ended the stream before they had answered everything; try again")
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
        let wanted = Wanted {
            backbone: backbone.to_owned(),
            space: space.to_owned(),
            augmentation: None,
            priority: Priority::Interactive,
            deadline: Some(deadline),
        };
        let embedded = single::embed(&self.pool, wanted, image);
        let late = |_| Err(status::too_late("the deadline passed before the image was embedded"));
        tokio::time::timeout_at(deadline.into(), embedded).await.unwrap_or_else(late)
    }
}

impl Embedding {
    /// Send images. They are answered even if an extractor is lost; [`next`](Self::next) tells.
    pub fn send(&self, images: Vec<(String, Image)>) {
        let item = |(id, image)| ExtractItem { id, image: Some(image), without_views: false };
        self.send_items(images.into_iter().map(item).collect());
    }

    /// The same, where some may be without views.
    pub fn send_items(&self, items: Vec<ExtractItem>) {
        if let Some(images) = &self.images {
            // If the stream has failed, the next answer says why.
            let _ = images.send(items);
        }
    }

    /// Say that no more images come.
    pub fn end(&mut self) {
        self.images = None;
    }

    /// The next answer; `None` after the last. An image, or a view of one, is answered once.
    pub async fn next(&mut self) -> Result<Option<Answer>, Status> {
        self.answers.recv().await.transpose()
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

/// What to say of an image that was at several extractors when each of them was lost.
fn suspicious() -> Status {
    status::internal(format!(
        "image: {MOST_LOSSES} extractors were lost while they had it; it may be what stops them, and is not tried again"
    ))
}
