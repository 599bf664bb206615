//! A stream of inputs in, classifications out.

use futures::Stream;
use graft_proto::v1::{
    ClassifyItem, ClassifyOptions, ClassifyResponse, ClassifyStreamRequest, ClassifyStreamResponse, ItemError,
    classify_stream_request::Message, classify_stream_response,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    Error, Service,
    stream::{Exchange, Replies, exchange},
};

/// What came of one input.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The caller's id.
    pub id: String,
    /// The classification, or what was wrong with the input.
    pub result: Result<ClassifyResponse, ItemError>,
}

/// Classify `items` by one head or by many, as `options` say (of many, each response has `classifications`); their ids are unique
/// among those that are not answered yet. Every item has its reply, in any order. No more is read from `items` than the service
/// takes. If the connection is lost, what has no reply is sent again.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the replies.
pub async fn classify_many(
    trainer: &Service,
    options: ClassifyOptions,
    items: impl Stream<Item = ClassifyItem> + Send + 'static,
) -> Result<Replies<Classified>, Error> {
    let ((), classified) = exchange(trainer, Classifications { options }, items).await?;
    Ok(classified)
}

struct Classifications {
    options: ClassifyOptions,
}

impl Exchange for Classifications {
    type Item = ClassifyItem;
    type Request = ClassifyStreamRequest;
    type Response = ClassifyStreamResponse;
    type Reply = Classified;
    type Opened = ();
    // A message holds one item.
    const MOST: usize = 1;

    fn first(&self) -> ClassifyStreamRequest {
        ClassifyStreamRequest { message: Some(Message::Options(self.options.clone())) }
    }

    fn wrap(mut items: Vec<ClassifyItem>) -> ClassifyStreamRequest {
        ClassifyStreamRequest { message: items.pop().map(Message::Item) }
    }

    async fn open(
        &mut self,
        trainer: &Service,
        messages: ReceiverStream<ClassifyStreamRequest>,
    ) -> Result<((), Streaming<ClassifyStreamResponse>), Error> {
        let answer = trainer.classifier().classify_stream(messages).await;
        Ok(((), answer.map_err(|status| trainer.error(status))?.into_inner()))
    }

    fn read(&self, trainer: &Service, message: ClassifyStreamResponse) -> Result<Vec<Classified>, Error> {
        let result = match message.result {
            Some(classify_stream_response::Result::Classification(found)) => Ok(found),
            Some(classify_stream_response::Result::Error(error)) => Err(error),
            None => {
                let reason = format!("neither a classification nor an error for `{}`", message.id);
                return Err(trainer.malformed(reason));
            }
        };
        Ok(vec![Classified { id: message.id, result }])
    }

    fn answers(reply: &Classified) -> (&str, Option<u32>) {
        (&reply.id, None)
    }

    fn refuse(id: String, error: ItemError) -> Classified {
        Classified { id, result: Err(error) }
    }
}
