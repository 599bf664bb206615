//! `suggest`: choosing 20 of 100,000 unlabelled embeddings of 1,280 numbers, over merely reading them.

use std::{pin::pin, time::Instant};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use graft_proto::v1::{Head as Description, Split};
use graft_trainer::{
    content::ContentHash,
    feedback::suggest::{Learner, suggest},
    fit::{
        head::{Head, LinearHead},
        random::Random,
    },
    names::{Name, Tenant},
    store::{Store, examples::ExampleRow, segments::NewExample, views::ViewKey},
};
use tempfile::TempDir;

use super::{Figure, Target};

const EXAMPLES: usize = 100_000;
const DIMENSION: usize = 1280;
const CLASSES: usize = 10;
/// Examples of one segment, as an import's.
const SEGMENT: usize = 512;
const COUNT: usize = 20;
/// Bytes of embeddings that it may keep.
const BUDGET: usize = 1 << 30;
/// Runs of each; the fastest counts.
const RUNS: usize = 3;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let folder = TempDir::new()?;
    let (store, tenant) = (Store::open(folder.path()).await?, Tenant::default());
    let name = Name::parse("name", "d").map_err(|status| anyhow::anyhow!("{status}"))?;
    store.create_dataset(&tenant, &name, "net", "net@0", DIMENSION as u32, false).await?;
    let dataset = store.dataset(&tenant, &name).await?.context("a dataset")?;
    let mut random = Random::new(7);
    for first in (0..EXAMPLES).step_by(SEGMENT) {
        let example = |index: usize| {
            let hash = ContentHash::from_slice(&index_hash(index)).context("a hash")?;
            let row = ExampleRow { hash, id: index.to_string(), labels: Vec::new(), split: Split::Unlabelled };
            let numbers = (0..DIMENSION).map(|_| random.unit() as f32).collect();
            Ok(NewExample { row, embedding: Some(numbers), views: Vec::new() })
        };
        let some: Vec<NewExample> = (first..EXAMPLES.min(first + SEGMENT)).map(example).collect::<Result<_>>()?;
        store.add(&tenant, &dataset, &some).await?.context("the dataset is there")?;
    }
    let weights: Vec<f32> = (0..DIMENSION * CLASSES).map(|_| random.unit() as f32 - 0.5).collect();
    let linear = LinearHead { weights, bias: vec![0.0; CLASSES], dimension: DIMENSION, classes: CLASSES };
    let labels: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    let (mut reading, mut choosing) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let begun = Instant::now();
        let keys: Vec<ViewKey> = store.unlabelled(dataset.id, EXAMPLES as u32).await?.into_iter().map(plain).collect();
        let mut segments = pin!(store.by_segment(&tenant, &dataset, &keys).await?);
        let mut read = 0;
        while let Some(rows) = segments.try_next().await? {
            read += rows.at.len();
        }
        ensure!(read == EXAMPLES, "{read} rows");
        reading = reading.min(begun.elapsed().as_secs_f64());

        let description = Description { labels: labels.clone(), ..Default::default() };
        let learner = Learner { description, head: Head::Linear(linear.clone()) };
        let begun = Instant::now();
        let found = suggest(&store, &tenant, &dataset, learner, COUNT, BUDGET).await;
        let found = found.map_err(|status| anyhow::anyhow!("{status}"))?;
        choosing = choosing.min(begun.elapsed().as_secs_f64());
        ensure!(found.suggestions.len() == COUNT && found.examined == EXAMPLES as u64, "{found:?}");
    }
    let note = format!("{choosing:.2} s to choose {COUNT} of {EXAMPLES}, {reading:.2} s to read them");
    let ratio = choosing / reading;
    Ok(vec![
        Figure { name: "suggest", unit: "ratio", value: ratio, target: Target::AtMost(2.0), note: note.clone() },
        Figure { name: "suggest", unit: "s", value: choosing, target: Target::AtMost(5.0), note },
    ])
}

fn plain(hash: ContentHash) -> ViewKey {
    ViewKey { hash, view: 0 }
}

/// A hash for each number, in an order that is not theirs.
fn index_hash(index: usize) -> [u8; 32] {
    let mut random = Random::new(index as u64);
    let mut hash = [0; 32];
    hash.as_chunks_mut::<8>().0.iter_mut().for_each(|part| *part = random.bits().to_le_bytes());
    hash
}
