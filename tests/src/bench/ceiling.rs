//! The most that this machine can do: a plain loop over decode, preprocessing and session, a thread a core, each with a
//! single-threaded session of its own, nothing sent anywhere.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use graft_extractor::{
    backbone::{
        built_in,
        session::{Provider, Runtime},
    },
    decode::Source,
};
use graft_proto::v1::Image;
use parking_lot::Mutex;

use super::{Figure, Target, bare::Bare, images::source};
use crate::{
    calls::extract,
    services::{Service, onnxruntime},
};

/// Images in one run: with one thread a session, one at a time is fastest.
const BATCH: usize = 1;
/// Images before the measurement begins.
const WARM: usize = 32;

/// A thread's work for each core.
#[derive(Debug)]
pub struct Ceiling {
    threads: Vec<Mutex<Bare>>,
    _runtime: Runtime,
}

impl Ceiling {
    /// Open a session a core for the default backbone.
    pub fn new() -> Result<Ceiling> {
        let runtime = Runtime::load(&onnxruntime())?;
        let backbone = built_in::entry("efficientnet-lite0", Provider::Cpu)?;
        let cores = thread::available_parallelism()?.get();
        let open = |_| Bare::open(&runtime, &backbone, 1, BATCH).map(Mutex::new);
        Ok(Ceiling { threads: (0..cores).map(open).collect::<Result<_>>()?, _runtime: runtime })
    }

    /// Embed `images` with all cores, and say how long it took.
    pub fn run(&self, images: &[Source]) -> Result<Duration> {
        let batches: Vec<&[Source]> = images.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = self.threads.iter().map(|bare| scope.spawn(|| work(bare, &batches, &next))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread broke down"))?)
        })?;
        Ok(begun.elapsed())
    }
}

fn work(bare: &Mutex<Bare>, batches: &[&[Source]], next: &AtomicUsize) -> Result<()> {
    let mut bare = bare.lock();
    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        bare.embed(batch)?;
    }
    Ok(())
}

/// Images/s of streams through `Extract`, client and server in processes of their own, over those of the ceiling. Both are
/// measured in turns, so that what else the machine does hits both.
pub async fn compare(name: &'static str, images: &[Image], turns: usize, target: Target) -> Result<Figure> {
    let extractor = Service::extractor(&[]).await?;
    let ceiling = Ceiling::new()?;
    let warm: Vec<Image> = images.iter().take(WARM).cloned().collect();
    serve(&extractor, &warm).await?;
    ceiling.run(&warm.iter().map(source).collect::<Result<Vec<_>>>()?)?;
    let (mut served, mut bare) = (Duration::ZERO, Duration::ZERO);
    for turn in images.chunks(images.len().div_ceil(turns)) {
        served += serve(&extractor, turn).await?;
        bare += ceiling.run(&turn.iter().map(source).collect::<Result<Vec<_>>>()?)?;
    }
    let rate = |took: Duration| images.len() as f64 / took.as_secs_f64();
    let note = format!("{:.0} images/s served, {:.0} in a plain loop", rate(served), rate(bare));
    Ok(Figure { name, unit: "ratio", value: rate(served) / rate(bare), target, note })
}

async fn serve(extractor: &Service, images: &[Image]) -> Result<Duration> {
    let items = images.iter().enumerate().map(|(index, image)| (index.to_string(), image.clone())).collect();
    let begun = Instant::now();
    let embedded = extract(extractor, Default::default(), items).await?;
    let took = begun.elapsed();
    anyhow::ensure!(embedded.len() == images.len() && embedded.values().all(Result::is_ok), "every image is embedded");
    Ok(took)
}
