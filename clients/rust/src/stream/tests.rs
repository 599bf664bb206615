//! The sending half, message by message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt};
use graft_proto::v1::{ExtractItem, Image, ItemError, image::Source as Bytes};
use prost::Message;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    Exchange,
    feed::{Sending, Source, send},
    window::Window,
};
use crate::{Error, Service, connect::MESSAGE_BYTES};

/// Messages that are the items in them.
struct Chunks;

impl Exchange for Chunks {
    type Item = ExtractItem;
    type Request = Vec<ExtractItem>;
    type Response = ();
    type Reply = ();
    type Opened = ();
    const MOST: usize = 64;

    fn first(&self) -> Vec<ExtractItem> {
        Vec::new()
    }

    fn wrap(items: Vec<ExtractItem>) -> Vec<ExtractItem> {
        items
    }

    async fn open(
        &mut self,
        service: &Service,
        _: ReceiverStream<Vec<ExtractItem>>,
    ) -> Result<((), Streaming<()>), Error> {
        Err(service.incomplete())
    }

    fn read(&self, _: &Service, (): ()) -> Result<Vec<()>, Error> {
        Ok(Vec::new())
    }

    fn answers((): &()) -> (&str, Option<u32>) {
        ("", None)
    }

    fn refuse(_: String, _: ItemError) {}
}

fn item(id: usize, bytes: usize) -> ExtractItem {
    let image = Image { source: Some(Bytes::Encoded(vec![0; bytes].into())) };
    ExtractItem { id: id.to_string(), image: Some(image), without_views: false }
}

/// What is sent, who sends it, what has no reply, and where it comes from.
type Parts64 = (ReceiverStream<Vec<ExtractItem>>, Sending, Window64, Arc<Mutex<Source<ExtractItem>>>);

type Window64 = Arc<Window<ExtractItem>>;

fn sent(items: impl Stream<Item = ExtractItem> + Send + 'static) -> Parts64 {
    let window = Arc::new(Window::new());
    let source = Arc::new(Mutex::new(Source::new(items, Chunks.parts(), window.clone())));
    let (messages, sending) = send(&Chunks, source.clone());
    (messages, sending, window, source)
}

async fn chunks(sizes: Vec<usize>) -> (Vec<Vec<ExtractItem>>, Window64) {
    let items = futures::stream::iter(sizes.into_iter().enumerate().map(|(id, bytes)| item(id, bytes)));
    let (messages, _sending, window, _) = sent(items);
    let mut messages: Vec<_> = messages.collect().await;
    assert!(messages.remove(0).is_empty(), "the first message comes first");
    (messages, window)
}

fn ids(messages: &[Vec<ExtractItem>]) -> Vec<String> {
    messages.iter().flatten().map(|item| item.id.clone()).collect()
}

#[tokio::test]
async fn messages_are_full_but_never_larger_than_the_services_take() {
    // 63 small items and then the largest image that is accepted: together they would be too large.
    let sizes = (0..130).map(|_| 16_000).chain([16 << 20, 5, 6]).collect();
    let (messages, window) = chunks(sizes).await;
    let counts: Vec<usize> = messages.iter().map(Vec::len).collect();
    assert_eq!(counts, [64, 64, 2, 1, 2]);
    for message in &messages {
        assert!(message.iter().map(Message::encoded_len).sum::<usize>() + 64 * 8 < MESSAGE_BYTES);
    }
    let all: Vec<String> = (0..133).map(|id| id.to_string()).collect();
    assert_eq!(ids(&messages), all, "nothing is lost, doubled or out of order");
    assert!(!window.is_done());
    assert!(all.iter().all(|id| window.answered(id, None)) && window.is_done());
}

#[tokio::test]
async fn bytes_fill_a_message_before_the_count_does() {
    let counts: Vec<usize> = chunks(vec![400_000; 5]).await.0.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn an_item_that_fits_no_message_is_told_and_the_rest_goes_on() {
    let (messages, window) = chunks(vec![1, 17 << 20, 2]).await;
    assert_eq!(ids(&messages), ["0", "2"]);
    let refused = window.refused().unwrap();
    assert_eq!((refused.id.as_str(), refused.field), ("1", "image"));
    assert!(refused.message.contains("at most"));
}

#[tokio::test]
async fn an_item_whose_id_no_service_takes_is_told() {
    let items = ["".to_owned(), "a".repeat(257), "a".repeat(256)].map(|id| ExtractItem { id, ..item(0, 1) });
    let (messages, _sending, window, _) = sent(futures::stream::iter(items));
    assert_eq!(ids(&messages.collect::<Vec<_>>().await), ["a".repeat(256)]);
    for length in [0, 257] {
        let refused = window.refused().unwrap();
        assert_eq!((refused.id.len(), refused.field), (length, "id"));
        assert!(refused.message.contains("1 to 256"));
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_service_takes() {
    let read = Arc::new(AtomicU64::new(0));
    let counter = read.clone();
    let endless = futures::stream::iter(0..).map(move |id| {
        counter.fetch_add(1, Ordering::Relaxed);
        item(id, 10)
    });
    let kept = sent(endless);
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Four messages wait, one is being made, and one is about to be sent.
    assert!((1..=6 * 64).contains(&read.load(Ordering::Relaxed)), "{read:?}");
    drop(kept);
}

#[tokio::test]
async fn an_item_does_not_wait_for_the_next() {
    let (items, receiver) = mpsc::channel(1);
    let (mut messages, _sending, _, _) = sent(ReceiverStream::new(receiver));
    messages.next().await.unwrap();
    items.send(item(1, 1)).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(5), messages.next()).await;
    assert_eq!(message.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_no_reply_is_sent_again_before_the_rest() {
    let (messages, sending, window, source) = sent(futures::stream::iter((0..1000).map(|id| item(id, 10))));
    let first: Vec<_> = messages.take(3).collect().await;
    assert_eq!(ids(&first).len(), 128);
    drop(sending);
    for id in [0, 2, 4, 127] {
        assert!(window.answered(&id.to_string(), None));
    }
    let (messages, _sending) = send(&Chunks, source);
    let again = ids(&messages.collect::<Vec<_>>().await);
    let expected: Vec<String> = (0..1000).filter(|id| ![0, 2, 4, 127].contains(id)).map(|id| id.to_string()).collect();
    assert_eq!(again, expected, "each once, in its order");
}
