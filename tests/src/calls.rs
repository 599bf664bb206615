//! The few calls that most tests make.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use graft_proto::v1::{
    CreateDatasetRequest, CreateTrainingRunRequest, EmbeddingBatch, Example, ExampleOutcome, Examples, ExtractItem,
    ExtractItems, ExtractOptions, ExtractRequest, Image, ImportExamplesRequest, ImportOptions, ItemError, Split,
    TrainingOptions, TrainingRun, TrainingState, WatchTrainingRunRequest, extract_request, extract_response,
    import_examples_request,
};
use tonic::{Code, Status};

use crate::{fashion::Row, services::Service};

/// Items in one message.
const CHUNK: usize = 64;

/// The messages of one Extract call: the options, then the images.
pub fn extract_messages(options: ExtractOptions, items: Vec<(String, Image)>) -> Vec<ExtractRequest> {
    let mut messages = vec![ExtractRequest { message: Some(extract_request::Message::Options(options)) }];
    messages.extend(items.chunks(CHUNK).map(|chunk| {
        let item = |(id, image): &(String, Image)| ExtractItem {
            id: id.clone(),
            image: Some(image.clone()),
            ..Default::default()
        };
        let items = chunk.iter().map(item);
        ExtractRequest { message: Some(extract_request::Message::Items(ExtractItems { items: items.collect() })) }
    }));
    messages
}

/// What came of each image: its embedding, or why there is none.
pub type Embedded = HashMap<String, Result<Vec<f32>, ItemError>>;

/// Embed images and collect every answer; each id must be answered exactly once.
pub async fn extract(service: &Service, options: ExtractOptions, items: Vec<(String, Image)>) -> Result<Embedded> {
    let messages = tokio_stream::iter(extract_messages(options, items));
    let mut answers = service.extractor_client().await?.extract(messages).await?.into_inner();
    let mut embedded = Embedded::new();
    while let Some(answer) = answers.message().await? {
        match answer.message.context("an answer holds something")? {
            extract_response::Message::Backbone(_) => {}
            extract_response::Message::Failure(failure) => {
                let error = failure.error.context("a failure has an error")?;
                ensure!(embedded.insert(failure.id.clone(), Err(error)).is_none(), "{} answered twice", failure.id);
            }
            extract_response::Message::Embeddings(batch) => {
                for (id, row) in rows(&batch)? {
                    ensure!(embedded.insert(id.clone(), Ok(row)).is_none(), "{id} answered twice");
                }
            }
        }
    }
    Ok(embedded)
}

/// The rows of a batch of f32 embeddings, with their ids.
pub fn rows(batch: &EmbeddingBatch) -> Result<Vec<(String, Vec<f32>)>> {
    let bytes = batch.dimension as usize * 4;
    ensure!(batch.data.len() == bytes * batch.ids.len(), "{} bytes for {} ids", batch.data.len(), batch.ids.len());
    let rows = batch.data.chunks_exact(bytes).map(floats);
    Ok(batch.ids.iter().cloned().zip(rows).collect())
}

/// Packed little-endian bytes as numbers.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// The cosine of the angle between two embeddings.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Rows of Fashion-MNIST as examples; ids count from `first`.
pub fn examples(rows: &[Row], split: Split, first: usize) -> Vec<Example> {
    let numbered = rows.iter().enumerate();
    numbered.map(|(index, row)| example(&format!("row-{}", first + index), &row.label, split, row.image())).collect()
}

/// One labelled image.
pub fn example(id: &str, label: &str, split: Split, image: Image) -> Example {
    Example {
        id: id.to_owned(),
        label: label.to_owned(),
        split: split as i32,
        image: Some(image),
        ..Default::default()
    }
}

/// The messages of one import: the options, then the examples.
pub fn import_messages(dataset: &str, examples: Vec<Example>) -> Vec<ImportExamplesRequest> {
    let options = ImportOptions { dataset: dataset.to_owned(), augmentation: None };
    let mut messages =
        vec![ImportExamplesRequest { message: Some(import_examples_request::Message::Options(options)) }];
    messages.extend(examples.chunks(CHUNK).map(|chunk| ImportExamplesRequest {
        message: Some(import_examples_request::Message::Examples(Examples { examples: chunk.to_vec() })),
    }));
    messages
}

/// Import examples and collect every outcome.
pub async fn import(trainer: &Service, dataset: &str, examples: Vec<Example>) -> Result<Vec<ExampleOutcome>, Status> {
    let messages = tokio_stream::iter(import_messages(dataset, examples));
    let mut client = trainer.dataset_client().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut answers = client.import_examples(messages).await?.into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await? {
        outcomes.extend(answer.outcomes);
    }
    Ok(outcomes)
}

/// Create a dataset with the default backbone.
pub async fn create_dataset(trainer: &Service, name: &str) -> Result<()> {
    let request = CreateDatasetRequest { name: name.to_owned(), ..Default::default() };
    trainer.dataset_client().await?.create_dataset(request).await?;
    Ok(())
}

/// Train a head named like the dataset and wait for the end of the run.
pub async fn train(trainer: &Service, dataset: &str) -> Result<TrainingRun> {
    train_with(trainer, dataset, TrainingOptions::default()).await
}

/// The same with options.
pub async fn train_with(trainer: &Service, dataset: &str, options: TrainingOptions) -> Result<TrainingRun> {
    let (dataset, options) = (dataset.to_owned(), Some(options));
    let request = CreateTrainingRunRequest { dataset, options, ..Default::default() };
    let mut client = trainer.training_client().await?;
    let run = client.create_training_run(request).await?.into_inner().training_run.context("a run")?;
    let mut watch = client.watch_training_run(WatchTrainingRunRequest { id: run.id }).await?.into_inner();
    let mut last = None;
    while let Some(answer) = watch.message().await? {
        last = answer.training_run;
    }
    let run = last.context("a watch tells the run at least once")?;
    if run.state() != TrainingState::Succeeded {
        bail!("the run ended as {:?}: {}", run.state(), run.error);
    }
    Ok(run)
}

/// Check that a call failed with this code and a message that contains each of `words`.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, words: &[&str]) -> Result<()> {
    let Err(status) = result else { bail!("accepted, but {code:?} was expected: {result:?}") };
    ensure!(status.code() == code, "{code:?} was expected: {status:?}");
    mentions(status.message(), words)
}

/// Check that a message contains each of `words`.
pub fn mentions(message: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(message.contains(word), "`{word}` is missing in: {message}");
    }
    Ok(())
}
