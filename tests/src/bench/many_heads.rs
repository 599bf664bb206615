//! `heads`: 5,000 heads of 20 classes on one backbone.
//!
//! - `heads-5000`: the trainer's resident memory with all of them loaded, less 150 MB, over the size of their weights.
//! - `heads-all`: one embedding against all of them, over a bare product of as many numbers with all cores.
//! - `head-cold`: what the first request to a head takes more than the next, its file read from the disk.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, EveryHead, classifier_service_client::ClassifierServiceClient,
    classify_input::Input,
};
use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;
use tonic::transport::Channel;

use super::{Figure, Target, fitted, stream::quantile};
use crate::services::{Pair, Service};

/// Heads, and the classes of each.
const HEADS: usize = 5000;
const CLASSES: usize = 20;
/// Heads whose first request is timed.
const COLD: usize = 100;
/// Questions to all heads, each beside a bare product.
const ROUNDS: usize = 25;
/// What the trainer may take beside the weights, in bytes.
const BESIDE: f64 = 150e6;
/// Numbers that are summed apart, so that a loop is vectors.
const LANES: usize = 32;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let data = TempDir::new()?;
    let extractor = Service::extractor(&[]).await?;
    let flags = ["--head-cache-mib", "1024"];
    let trainer = Service::trainer(&extractor.url(), data.path(), &flags).await?;
    let mut pair = Pair { extractor, trainer, data };
    let space = fitted::Space::of(&pair.extractor).await?;
    fitted::register(&pair, &space, HEADS, CLASSES).await?;
    pair.trainer.restart().await?;
    drop_from_cache(pair.data.path())?;
    let mut client = pair.trainer.classifier_client().await?;
    let input = Some(ClassifyInput { input: Some(Input::Embedding(space.embedding(7))) });

    let cold = cold(&mut client, &input).await?;
    let every = EveryHead { space: space.name.clone(), ..Default::default() };
    let all = ClassifyRequest { input, every_head: Some(every), ..Default::default() };
    let begun = Instant::now();
    ask(&mut client, &all).await?;
    let first = begun.elapsed().as_secs_f64();

    let bare = Bare::new(HEADS * CLASSES, space.dimension);
    let (mut served, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(bare.run());
        served.push(ask(&mut client, &all).await?);
    }
    let (served, alone) = (quantile(&served, 0.5), quantile(&alone, 0.5));
    let weights = (HEADS * CLASSES * space.dimension * size_of::<f32>()) as f64;
    let resident = pair.trainer.resident_memory()? as f64;
    let memory =
        format!("{:.0} MB resident, {:.0} MB of weights; loaded in {first:.1} s", resident / 1e6, weights / 1e6);
    let speed = format!("p50 {served:.1} ms served, {alone:.1} ms bare: {:.1} GB/s", weights / alone / 1e6);
    Ok(vec![
        Figure {
            name: "heads-5000",
            unit: "ratio",
            value: (resident - BESIDE) / weights,
            target: Target::AtMost(1.2),
            note: memory,
        },
        Figure { name: "heads-all", unit: "ratio", value: served / alone, target: Target::AtMost(1.5), note: speed },
        cold,
    ])
}

/// The files of the heads are read from the disk again.
fn drop_from_cache(data: &Path) -> Result<()> {
    for entry in std::fs::read_dir(data.join("heads"))? {
        fadvise(&File::open(entry?.path())?, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

async fn cold(client: &mut ClassifierServiceClient<Channel>, input: &Option<ClassifyInput>) -> Result<Figure> {
    let (mut first, mut next) = (Vec::new(), Vec::new());
    for at in 0..COLD {
        let request = ClassifyRequest { head: fitted::name(at), input: input.clone(), ..Default::default() };
        for took in [&mut first, &mut next] {
            let begun = Instant::now();
            client.classify(request.clone()).await?;
            took.push(begun.elapsed());
        }
    }
    let (cold, warm) = (quantile(&first, 0.5), quantile(&next, 0.5));
    let note = format!("p50 {cold:.2} ms the first time, p90 {:.2} ms; {warm:.2} ms the second", quantile(&first, 0.9));
    Ok(Figure { name: "head-cold", unit: "ms", value: cold - warm, target: Target::AtMost(10.0), note })
}

/// The answers of all heads: how long they took.
async fn ask(client: &mut ClassifierServiceClient<Channel>, request: &ClassifyRequest) -> Result<Duration> {
    let begun = Instant::now();
    let answer = client.classify(request.clone()).await?.into_inner();
    let took = begun.elapsed();
    let answered = answer.classifications.iter().filter(|one| one.predictions.len() == 1 && one.error.is_none());
    ensure!(answered.count() == HEADS, "{} answers", answer.classifications.len());
    Ok(took)
}

/// A product of a matrix and a vector: each core has a part of the rows.
struct Bare {
    /// `[rows, columns]`.
    matrix: Vec<f32>,
    vector: Vec<f32>,
    cores: usize,
}

impl Bare {
    fn new(rows: usize, columns: usize) -> Bare {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Bare { matrix: vec![0.01; rows * columns], vector: vec![0.5; columns], cores }
    }

    fn run(&self) -> Duration {
        let begun = Instant::now();
        let columns = self.vector.len();
        let part = (self.matrix.len() / columns).div_ceil(self.cores);
        let products: Vec<f32> = std::thread::scope(|scope| {
            let multiply =
                |rows: &[f32]| rows.chunks_exact(columns).map(|row| dot(row, &self.vector)).collect::<Vec<_>>();
            let parts: Vec<_> =
                self.matrix.chunks(part * columns).map(|rows| scope.spawn(move || multiply(rows))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        });
        assert!(std::hint::black_box(products).len() * columns == self.matrix.len(), "every row has its product");
        begun.elapsed()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
