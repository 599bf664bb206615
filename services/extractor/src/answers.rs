//! The way back: from the lanes to the stream that asked.
//!
//! A stream holds a bounded number of tickets, one for each embedding that is not answered *and read*. A caller that never
//! reads therefore stops being read from, and a lane that answers never waits.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::Stream;
use graft_proto::v1::{DType, ExtractResponse};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Status;

use crate::{augment::Recipe, cache::Keep};

type Ids = Arc<Mutex<HashSet<String>>>;

/// One message for the caller, and the tickets that it settles.
#[derive(Debug)]
struct Answer {
    message: Result<ExtractResponse, Status>,
    tickets: Vec<Ticket>,
}

/// The sending side of one stream's answers.
#[derive(Clone, Debug)]
pub struct Answers {
    sender: mpsc::UnboundedSender<Answer>,
    tickets: Arc<Semaphore>,
    open: Ids,
    /// How the caller wants its embeddings written.
    dtype: DType,
    /// Embeddings of each image: its own, and those of its views.
    rows: u32,
}

/// The receiving side: the body of the response.
#[derive(Debug)]
pub struct AnswerStream {
    receiver: mpsc::UnboundedReceiver<Answer>,
    /// Closed when the caller goes away, so that nobody waits for its tickets.
    tickets: Arc<Semaphore>,
}

/// The right to the answers of one image, or to that of one view of it. It is given back when the caller has taken them.
#[derive(Debug)]
pub struct Ticket {
    id: Arc<Id>,
    /// The view that it is for; 0 for the plain image, and for all of them as long as they are not parted.
    pub view: u32,
    answers: Answers,
    /// Where its embedding is kept for the next time, if it is.
    keep: Option<Keep>,
    permit: OwnedSemaphorePermit,
}

/// The caller's id of an image, in use until every view of it is answered.
#[derive(Debug)]
struct Id {
    text: String,
    open: Ids,
    /// Whether the caller was told that the image could not be embedded.
    refused: AtomicBool,
}

/// Why there is no ticket.
#[derive(Debug, PartialEq, Eq)]
pub enum NoTicket {
    /// An image with this id is not answered yet.
    InUse(String),
    /// The caller went away.
    Gone,
}

impl Answers {
    /// The two sides of one stream, with at most `window` images unanswered or unread.
    pub fn new(window: usize, dtype: DType) -> (Answers, AnswerStream) {
        Answers::with_views(window, dtype, 0)
    }

    /// The same for images with `views` views each, with at most `window` embeddings unanswered or unread, or those of one
    /// image.
    pub fn with_views(window: usize, dtype: DType, views: u32) -> (Answers, AnswerStream) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let rows = 1 + views;
        let tickets = Arc::new(Semaphore::new(window.max(rows as usize)));
        let answers = Answers { sender, tickets: tickets.clone(), open: Ids::default(), dtype, rows };
        (answers, AnswerStream { receiver, tickets })
    }

    /// Wait for a ticket for the image `id` and its views.
    pub async fn ticket(&self, id: String) -> Result<Ticket, NoTicket> {
        let permit = self.tickets.clone().acquire_many_owned(self.rows).await.map_err(|_| NoTicket::Gone)?;
        if !self.open.lock().insert(id.clone()) {
            return Err(NoTicket::InUse(id));
        }
        let id = Arc::new(Id { text: id, open: self.open.clone(), refused: AtomicBool::new(false) });
        Ok(Ticket { id, view: 0, answers: self.clone(), keep: None, permit })
    }

    /// Whether there is a ticket without waiting for one.
    pub fn has_ticket(&self) -> bool {
        self.tickets.available_permits() >= self.rows as usize
    }

    /// Send a message that settles no ticket. `false` if the caller went away.
    pub fn send(&self, message: Result<ExtractResponse, Status>) -> bool {
        self.sender.send(Answer { message, tickets: Vec::new() }).is_ok()
    }

    /// Send the message that answers `tickets`, which are this stream's. `false` if the caller went away.
    pub fn settle(&self, message: ExtractResponse, tickets: Vec<Ticket>) -> bool {
        self.sender.send(Answer { message: Ok(message), tickets }).is_ok()
    }
}

impl Ticket {
    /// The caller's id of the image.
    pub fn id(&self) -> &str {
        &self.id.text
    }

    /// A ticket for the plain image and one for each view of `recipe`, in their order.
    pub fn part(mut self, recipe: Option<&Recipe>) -> Vec<Ticket> {
        let Some(recipe) = recipe else { return vec![self] };
        let view = |view| {
            // There is a permit for each row of the image.
            let permit = self.permit.split(1)?;
            let keep = self.keep.as_ref().map(|keep| keep.of_view(recipe, view));
            Some(Ticket { id: self.id.clone(), view, answers: self.answers.clone(), keep, permit })
        };
        let mut tickets: Vec<Ticket> = (1..=recipe.views()).filter_map(view).collect();
        tickets.insert(0, self);
        tickets
    }

    /// Whether the caller is still to be told that the image is refused; once it is, the other views' tickets say no.
    pub fn refuse(&self) -> bool {
        !self.id.refused.swap(true, Ordering::Relaxed)
    }

    /// The stream that it belongs to.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// How the caller wants its embedding written.
    pub fn dtype(&self) -> DType {
        self.answers.dtype
    }

    /// Whether the caller went away.
    pub fn abandoned(&self) -> bool {
        self.answers.sender.is_closed()
    }

    /// Wait until the caller goes away.
    pub async fn gone(&self) {
        self.answers.sender.closed().await;
    }

    /// Once there is an embedding, keep it there.
    pub fn keep_in(&mut self, keep: Keep) {
        self.keep = Some(keep);
    }

    /// Keep the embedding, if that was asked for.
    pub fn keep(&mut self, embedding: &[f32]) {
        if let Some(keep) = self.keep.take() {
            keep.embedding(embedding);
        }
    }

    /// Whether both belong to the same stream.
    pub fn same_stream(&self, other: &Ticket) -> bool {
        self.answers.sender.same_channel(&other.answers.sender)
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        self.open.lock().remove(&self.text);
    }
}

impl Stream for AnswerStream {
    type Item = Result<ExtractResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|answer| {
            answer.map(|answer| {
                // Dropping the tickets lets the next images of the stream in.
                drop(answer.tickets);
                answer.message
            })
        })
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        self.tickets.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_caller_that_does_not_read_gets_no_more_tickets() {
        let (answers, mut stream) = Answers::new(1, DType::F32);
        let ticket = answers.ticket("a".into()).await.unwrap();
        assert!(answers.settle(ExtractResponse::default(), vec![ticket]));
        let waited = tokio::time::timeout(Duration::from_millis(20), answers.ticket("b".into())).await;
        assert!(waited.is_err(), "the answer to a was not read yet");
        assert!(stream.next().await.unwrap().is_ok());
        assert!(answers.ticket("b".into()).await.is_ok());
    }

    #[tokio::test]
    async fn an_id_is_free_again_once_it_is_answered() {
        let (answers, stream) = Answers::new(8, DType::F32);
        let first = answers.ticket("a".into()).await.unwrap();
        assert_eq!(answers.ticket("a".into()).await.unwrap_err(), NoTicket::InUse("a".into()));
        drop(first);
        let again = answers.ticket("a".into()).await.unwrap();
        drop(stream);
        assert!(again.abandoned());
        assert_eq!(answers.ticket("b".into()).await.unwrap_err(), NoTicket::Gone);
    }

    #[tokio::test]
    async fn the_views_of_an_image_take_a_ticket_each_and_are_refused_once() {
        let asked = graft_proto::v1::Augmentation { views: 2, ..Default::default() };
        let recipe = Recipe::new(&graft_proto::augmentation::resolve(&asked).unwrap().unwrap());
        let (answers, mut stream) = Answers::with_views(4, DType::F32, 2);
        let mut parts = answers.ticket("a".into()).await.unwrap().part(Some(&recipe));
        assert_eq!(
            parts.iter().map(|ticket| (ticket.id(), ticket.view)).collect::<Vec<_>>(),
            [("a", 0), ("a", 1), ("a", 2)]
        );
        assert!(!answers.has_ticket(), "one row is left of four");
        assert!(parts[1].refuse() && !parts[0].refuse() && !parts[1].refuse());
        assert!(answers.settle(ExtractResponse::default(), vec![parts.remove(0), parts.remove(0)]));
        assert!(stream.next().await.unwrap().is_ok() && answers.has_ticket());
        assert_eq!(answers.ticket("a".into()).await.unwrap_err(), NoTicket::InUse("a".into()), "a view is left");
        drop(parts);
        assert!(answers.ticket("a".into()).await.is_ok());
        let (answers, _stream) = Answers::with_views(1, DType::F32, 2);
        assert!(answers.ticket("a".into()).await.is_ok(), "an image always fits");
    }
}
