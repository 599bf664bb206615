//! A stream of examples in, outcomes out.

use futures::Stream;
use graft_proto::v1::{
    Example, ExampleOutcome, Examples, ImportExamplesRequest, ImportExamplesResponse, ImportOptions, ItemError,
    Outcome, import_examples_request::Message,
};

use crate::{
    Error, Service,
    outbound::{CHUNK, send},
    replies::{Read, Replies, replies},
};

/// Import `examples` as `options` say. Every example has its outcome, in any order; one that is told to be stored is on disk.
/// No more is read from `examples` than the service takes.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the outcomes.
pub async fn import(
    trainer: &Service,
    options: ImportOptions,
    examples: impl Stream<Item = Example> + Send + 'static,
) -> Result<Replies<ExampleOutcome>, Error> {
    let options = request(Message::Options(options));
    let wrap = |examples| request(Message::Examples(Examples { examples }));
    let (messages, sending) = send(options, examples, CHUNK, wrap);
    let answer = trainer.datasets().import_examples(messages).await;
    let inbound = answer.map_err(|status| trainer.error(status))?.into_inner();
    Ok(replies(trainer, inbound, sending, Outcomes))
}

fn request(message: Message) -> ImportExamplesRequest {
    ImportExamplesRequest { message: Some(message) }
}

struct Outcomes;

impl Read for Outcomes {
    type Message = ImportExamplesResponse;
    type Reply = ExampleOutcome;

    fn read(&mut self, message: ImportExamplesResponse) -> Result<Vec<ExampleOutcome>, Error> {
        Ok(message.outcomes)
    }

    fn refuse(&self, id: String, error: ItemError) -> ExampleOutcome {
        ExampleOutcome { id, outcome: Outcome::Rejected as i32, error: Some(error) }
    }
}
