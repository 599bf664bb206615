//! A stream of inputs in, classifications out.

use futures::Stream;
use graft_proto::v1::{
    ClassifyItem, ClassifyOptions, ClassifyResponse, ClassifyStreamRequest, ClassifyStreamResponse, ItemError,
    classify_stream_request::Message, classify_stream_response,
};

use crate::{
    Error, Service,
    outbound::send,
    replies::{Read, Replies, replies},
};

/// What came of one input.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The caller's id.
    pub id: String,
    /// The classification, or what was wrong with the input.
    pub result: Result<ClassifyResponse, ItemError>,
}

/// Classify `items` by one head or by many, as `options` say (of many, each response has `classifications`); their ids are unique among those that are not answered yet. Every item has its reply, in any order. No
/// more is read from `items` than the service takes.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the replies.
pub async fn classify_many(
    trainer: &Service,
    options: ClassifyOptions,
    items: impl Stream<Item = ClassifyItem> + Send + 'static,
) -> Result<Replies<Classified>, Error> {
    let options = ClassifyStreamRequest { message: Some(Message::Options(options)) };
    // A message holds one item.
    let wrap = |mut items: Vec<ClassifyItem>| ClassifyStreamRequest { message: items.pop().map(Message::Item) };
    let (messages, sending) = send(options, items, 1, wrap);
    let answer = trainer.classifier().classify_stream(messages).await;
    let inbound = answer.map_err(|status| trainer.error(status))?.into_inner();
    Ok(replies(trainer, inbound, sending, Classifications))
}

struct Classifications;

impl Read for Classifications {
    type Message = ClassifyStreamResponse;
    type Reply = Classified;

    fn read(&mut self, message: ClassifyStreamResponse) -> Result<Vec<Classified>, Error> {
        let result = match message.result {
            Some(classify_stream_response::Result::Classification(found)) => Ok(found),
            Some(classify_stream_response::Result::Error(error)) => Err(error),
            None => {
                let reason = format!("neither a classification nor an error for `{}`", message.id);
                return Err(Error::Malformed { service: "trainer", reason });
            }
        };
        Ok(vec![Classified { id: message.id, result }])
    }

    fn refuse(&self, id: String, error: ItemError) -> Classified {
        Classified { id, result: Err(error) }
    }
}
