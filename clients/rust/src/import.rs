//! A stream of examples in, outcomes out.

use futures::Stream;
use graft_proto::v1::{
    Example, ExampleOutcome, Examples, ImportExamplesRequest, ImportExamplesResponse, ImportOptions, ItemError,
    Outcome, import_examples_request::Message,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    Error, Service,
    stream::{Exchange, Replies, exchange},
};

/// Import `examples` as `options` say. Every example has its outcome, in any order; one that is told to be stored is on disk.
/// No more is read from `examples` than the service takes.
///
/// If the connection is lost, examples that have no outcome are sent again, unless two of one id were on their way at once.
/// One that was stored, and whose outcome was lost, is told to be known already then: it is stored once.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the outcomes.
pub async fn import(
    trainer: &Service,
    options: ImportOptions,
    examples: impl Stream<Item = Example> + Send + 'static,
) -> Result<Replies<ExampleOutcome>, Error> {
    let ((), outcomes) = exchange(trainer, Outcomes { options }, examples).await?;
    Ok(outcomes)
}

fn request(message: Message) -> ImportExamplesRequest {
    ImportExamplesRequest { message: Some(message) }
}

struct Outcomes {
    options: ImportOptions,
}

impl Exchange for Outcomes {
    type Item = Example;
    type Request = ImportExamplesRequest;
    type Response = ImportExamplesResponse;
    type Reply = ExampleOutcome;
    type Opened = ();
    const MOST: usize = 64;

    fn first(&self) -> ImportExamplesRequest {
        request(Message::Options(self.options.clone()))
    }

    fn wrap(examples: Vec<Example>) -> ImportExamplesRequest {
        request(Message::Examples(Examples { examples }))
    }

    async fn open(
        &mut self,
        trainer: &Service,
        messages: ReceiverStream<ImportExamplesRequest>,
    ) -> Result<((), Streaming<ImportExamplesResponse>), Error> {
        let answer = trainer.datasets().import_examples(messages).await;
        Ok(((), answer.map_err(|status| trainer.error(status))?.into_inner()))
    }

    fn read(&self, _: &Service, message: ImportExamplesResponse) -> Result<Vec<ExampleOutcome>, Error> {
        Ok(message.outcomes)
    }

    fn answers(reply: &ExampleOutcome) -> (&str, Option<u32>) {
        (&reply.id, None)
    }

    fn refuse(id: String, error: ItemError) -> ExampleOutcome {
        ExampleOutcome { id, outcome: Outcome::Rejected as i32, error: Some(error) }
    }
}
