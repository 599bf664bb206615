//! A stream of examples in, outcomes out. Messages are filled as is convenient for the wire, and no more is read from the
//! examples than the service takes.

use futures::Stream;
use graft_proto::v1::{
    Example, ExampleOutcome, Examples, Image, ImportExamplesRequest, ImportOptions, image::Source,
    import_examples_request,
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use crate::{Error, connect::Service};

/// Examples in one message at the most, and their bytes beyond which a message is full.
const CHUNK: usize = 64;
const CHUNK_BYTES: usize = 1 << 20;
/// Messages that wait to be sent.
const MESSAGES: usize = 4;

/// Import `examples` into `dataset`; `told` is given every outcome, in any order.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`]. What was told to be stored is.
pub async fn import(
    trainer: &Service,
    dataset: &str,
    examples: impl Stream<Item = Example> + Send + 'static,
    mut told: impl FnMut(ExampleOutcome),
) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let options = ImportOptions { dataset: dataset.to_owned() };
    let first = ImportExamplesRequest { message: Some(import_examples_request::Message::Options(options)) };
    let feeding = tokio::spawn(async move {
        if sender.send(first).await.is_ok() {
            feed(examples, sender).await;
        }
    });
    let outcome = receive(trainer, receiver, &mut told).await;
    feeding.abort();
    outcome
}

async fn receive(
    trainer: &Service,
    messages: mpsc::Receiver<ImportExamplesRequest>,
    told: &mut impl FnMut(ExampleOutcome),
) -> Result<(), Error> {
    let answers = trainer.datasets().import_examples(ReceiverStream::new(messages)).await;
    let mut answers = answers.map_err(|status| trainer.error(status))?.into_inner();
    while let Some(answer) = answers.message().await.map_err(|status| trainer.error(status))? {
        answer.outcomes.into_iter().for_each(&mut *told);
    }
    Ok(())
}

async fn feed(examples: impl Stream<Item = Example> + Send, messages: mpsc::Sender<ImportExamplesRequest>) {
    let mut examples = std::pin::pin!(examples);
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while let Some(example) = examples.next().await {
        bytes += example.image.as_ref().map_or(0, size);
        chunk.push(example);
        if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
            bytes = 0;
            // The call is over: then nothing more is wanted.
            if messages.send(message(std::mem::take(&mut chunk))).await.is_err() {
                return;
            }
        }
    }
    if !chunk.is_empty() {
        let _ = messages.send(message(chunk)).await;
    }
}

fn message(examples: Vec<Example>) -> ImportExamplesRequest {
    ImportExamplesRequest { message: Some(import_examples_request::Message::Examples(Examples { examples })) }
}

fn size(image: &Image) -> usize {
    match &image.source {
        Some(Source::Encoded(bytes)) => bytes.len(),
        Some(Source::Pixels(pixels)) => pixels.data.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_full_but_not_too_full() {
        let example = |bytes: usize| Example {
            image: Some(Image { source: Some(Source::Encoded(vec![0; bytes].into())) }),
            ..Default::default()
        };
        let sizes: Vec<usize> = (0..130).map(|_| 10).chain([CHUNK_BYTES, 5, 6]).collect();
        let (sender, mut receiver) = mpsc::channel(100);
        feed(tokio_stream::iter(sizes.into_iter().map(example)), sender).await;
        let mut counts = Vec::new();
        while let Some(message) = receiver.recv().await {
            if let Some(import_examples_request::Message::Examples(examples)) = message.message {
                counts.push(examples.examples.len());
            }
        }
        assert_eq!(counts, [64, 64, 3, 2]);
    }
}
