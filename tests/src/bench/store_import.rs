//! `store-import`: an import of 100,000 embeddings that the caller has already, over a plain append of the same bytes and rows.

use std::time::Instant;

use anyhow::{Result, ensure};
use graft_proto::v1::{
    Example, Examples, ImportExamplesRequest, ImportOptions, Outcome, Split, import_examples_request::Message,
};
use tempfile::TempDir;

use super::{
    Figure, Target,
    plain_append::{self, Rows},
};
use crate::{
    calls::create_dataset,
    made_up::MadeUp,
    services::{Pair, Service},
};

/// Embeddings of one import.
const EXAMPLES: usize = 100_000;
/// Classes.
const CLASSES: usize = 10;
/// Examples in one message: about a megabyte.
const CHUNK: usize = 200;
/// How often both are done, in turns.
const ROUNDS: usize = 3;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let pair = Pair::start().await?;
    let made_up = MadeUp::new(&pair.extractor, CLASSES).await?;
    let (mut plain, mut imports) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Other ones each round, so that the store has none of them.
        let example = |example| made_up.example(round * EXAMPLES + example, Split::Train);
        let examples: Vec<Example> = (0..EXAMPLES).map(example).collect();
        plain.push(append(&examples, &made_up.space).await?);
        imports.push(import(&pair.trainer, round, examples).await?);
    }
    let [plain, imports] = [plain, imports].map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[ROUNDS / 2]
    });
    let note = format!("{imports:.2} s for {EXAMPLES} embeddings of {}, plain {plain:.2} s", made_up.dimension);
    Ok(vec![Figure { name: "store-import", unit: "ratio", value: imports / plain, target: Target::AtMost(2.0), note }])
}

async fn append(examples: &[Example], space: &str) -> Result<f64> {
    let bytes = |example: &Example| example.embedding.clone().unwrap_or_default().data;
    let embeddings: Vec<_> = examples.iter().map(bytes).collect();
    let embeddings: Vec<&[u8]> = embeddings.iter().map(|row| &row[..]).collect();
    let fact = |(example, row): (&Example, &&[u8])| {
        (blake3::hash(row).as_bytes().to_vec(), example.id.clone(), example.label.clone())
    };
    let facts: Vec<_> = examples.iter().zip(&embeddings).map(fact).collect();
    let folder = TempDir::new()?;
    let begun = Instant::now();
    plain_append::append(folder.path(), Rows { facts: &facts, embeddings: &embeddings, space }).await?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn import(trainer: &Service, round: usize, examples: Vec<Example>) -> Result<f64> {
    let dataset = format!("round-{round}");
    create_dataset(trainer, &dataset).await?;
    let mut messages = vec![Message::Options(ImportOptions { dataset, ..Default::default() })];
    messages.extend(examples.chunks(CHUNK).map(|some| Message::Examples(Examples { examples: some.to_vec() })));
    let messages = messages.into_iter().map(|message| ImportExamplesRequest { message: Some(message) });
    let mut client = trainer.dataset_client().await?;
    let begun = Instant::now();
    let mut answers = client.import_examples(tokio_stream::iter(messages)).await?.into_inner();
    let mut stored = 0;
    while let Some(answer) = answers.message().await? {
        stored += answer.outcomes.iter().filter(|outcome| outcome.outcome() == Outcome::Stored).count();
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(stored == EXAMPLES, "{stored} of {EXAMPLES} were stored");
    Ok(seconds)
}
