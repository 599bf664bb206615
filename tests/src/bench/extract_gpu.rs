//! `extract-gpu`: what reaches a GPU of what it can do, and what bounds JPEGs there. Without a GPU it says so, and measures
//! nothing.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use graft_extractor::{
    backbone::{
        buffer::Buffer,
        built_in,
        catalogue::Entry,
        provider::{Execution, Provider},
        session::{Runtime, Session},
    },
    decode::{Limits, Source, decode},
    preprocess::Preprocessor,
};
use graft_proto::v1::{ExtractOptions, Image, Priority};
use parking_lot::Mutex;

use super::{
    Figure, Target,
    images::{photos, rows, source},
    stream::{Stream, quantile},
};
use crate::{
    calls::extract,
    services::{Service, onnxruntime},
};

/// The driver's device, which every machine with a usable NVIDIA GPU has.
const DEVICE: &str = "/dev/nvidiactl";
/// Images in a run, on both sides.
const BATCH: usize = 64;
/// Rows and JPEGs that are embedded, and turns to measure the rows in.
const ROWS: usize = 50_000;
const JPEGS: usize = 4_000;
const TURNS: usize = 5;
/// JPEGs that are embedded one at a time.
const SINGLE: usize = 300;
/// What the session alone runs in each turn.
const RUNS: usize = 150;

/// Measure it, where there is a GPU.
pub async fn run() -> Result<Vec<Figure>> {
    let runtime = Runtime::load(&onnxruntime())?;
    if !Path::new(DEVICE).exists() {
        println!("extract-gpu: this machine has no NVIDIA GPU ({DEVICE} is not there); nothing was measured");
        return Ok(Vec::new());
    }
    if let Err(error) = runtime.require(Provider::Cuda) {
        println!("extract-gpu: {error}; nothing was measured (docs/benchmarks.md says what is needed)");
        return Ok(Vec::new());
    }
    let entry = built_in::entry("efficientnet-lite0", Provider::Cuda)?;
    let mut raw = Raw::open(&runtime, &entry)?;
    let batch = BATCH.to_string();
    let flags = ["--provider", "cuda", "--max-batch", &batch, "--stream-window", "2048"];
    let extractor = Service::extractor(&flags).await?;

    let (served, session) = row_rates(&extractor, &mut raw).await?;
    let jpegs = photos(JPEGS)?;
    let over_the_wire = rate(&extractor, &jpegs).await?;
    let decoded = decode_rate(&entry, &jpegs)?;
    let bound = if decoded < session { "decoding on the processor" } else { "the GPU" };
    let one = one_by_one(&extractor, &entry, &mut raw, &jpegs[..SINGLE]).await?;
    let note = |text: String| format!("{text}; batch {BATCH}, CUDA");
    Ok(vec![
        Figure {
            name: "extract-gpu-rows",
            unit: "ratio",
            value: served / session,
            target: Target::AtLeast(0.9),
            note: note(format!("{served:.0} images/s served, {session:.0} in the session alone")),
        },
        Figure {
            name: "extract-gpu-jpeg",
            unit: "ratio",
            value: over_the_wire / decoded.min(session),
            target: Target::AtLeast(0.9),
            note: note(format!(
                "{over_the_wire:.0} images/s over the wire; {decoded:.0} decoded by all cores, {session:.0} in the session: {bound} bounds them"
            )),
        },
        one,
    ])
}

/// The session alone, fed from pinned memory as the lanes feed it.
struct Raw {
    session: Mutex<Session>,
    buffer: Buffer,
    features: Vec<f32>,
}

impl Raw {
    fn open(runtime: &Runtime, entry: &Entry) -> Result<Raw> {
        let execution = Execution { images: BATCH, ..Execution::from(Provider::Cuda) };
        let session = Session::open(runtime, &entry.network(), 1, &execution)?;
        let buffer = Buffer::of(&session, BATCH)?;
        let mut raw = Raw { session: Mutex::new(session), buffer, features: Vec::new() };
        for images in raw.buffer.sizes() {
            raw.run(images)?;
        }
        Ok(raw)
    }

    fn run(&mut self, images: usize) -> Result<()> {
        Ok(self.buffer.run(&self.session, images, &mut self.features)?)
    }
}

/// Images a second of rows through `Extract`, and of the session alone, in turns.
async fn row_rates(extractor: &Service, raw: &mut Raw) -> Result<(f64, f64)> {
    let rows = rows(ROWS)?;
    rate(extractor, &rows[..ROWS / 10]).await?;
    let (mut served, mut alone) = (0.0, Duration::ZERO);
    for turn in rows.chunks(ROWS / TURNS) {
        served += rate(extractor, turn).await?;
        let begun = Instant::now();
        for _ in 0..RUNS {
            raw.run(BATCH)?;
        }
        alone += begun.elapsed();
    }
    Ok((served / TURNS as f64, (TURNS * RUNS * BATCH) as f64 / alone.as_secs_f64()))
}

/// Images a second through `Extract`.
async fn rate(extractor: &Service, images: &[Image]) -> Result<f64> {
    let items = images.iter().enumerate().map(|(index, image)| (index.to_string(), image.clone())).collect();
    let begun = Instant::now();
    let embedded = extract(extractor, ExtractOptions::default(), items).await?;
    let took = begun.elapsed().as_secs_f64();
    anyhow::ensure!(embedded.len() == images.len() && embedded.values().all(Result::is_ok), "every image is embedded");
    Ok(images.len() as f64 / took)
}

/// Images a second that all cores decode and preprocess, and nothing else.
fn decode_rate(entry: &Entry, images: &[Image]) -> Result<f64> {
    let sources = images.iter().map(source).collect::<Result<Vec<Source>>>()?;
    let cores = thread::available_parallelism()?.get();
    let begun = Instant::now();
    thread::scope(|scope| {
        let shares = sources.chunks(sources.len().div_ceil(cores));
        let threads: Vec<_> = shares.map(|share| scope.spawn(|| decode_all(entry, share))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread broke down"))?)
    })?;
    Ok(images.len() as f64 / begun.elapsed().as_secs_f64())
}

fn decode_all(entry: &Entry, sources: &[Source]) -> Result<()> {
    let mut preprocessor = Preprocessor::new(&entry.preprocessing);
    let mut slot = vec![0.0; preprocessor.output_len()];
    for source in sources {
        preprocessor.run(&decode(source, &Limits::default())?, &mut slot);
    }
    Ok(())
}

/// p50 of one image at a time through `Extract`, less that of its decode and run in this process.
async fn one_by_one(extractor: &Service, entry: &Entry, raw: &mut Raw, images: &[Image]) -> Result<Figure> {
    let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
    let mut stream = Stream::open(extractor, options).await?;
    let (mut served, mut alone) = (Vec::new(), Vec::new());
    let mut preprocessor = Preprocessor::new(&entry.preprocessing);
    let len = preprocessor.output_len();
    for image in images {
        let source = source(image)?;
        let begun = Instant::now();
        preprocessor.run(&decode(&source, &Limits::default())?, &mut raw.buffer.numbers_mut()[..len]);
        raw.run(1)?;
        alone.push(begun.elapsed());
        served.extend(stream.run(std::slice::from_ref(image), 1).await?);
    }
    let (served, alone) = (quantile(&served, 0.5), quantile(&alone, 0.5));
    let note = format!("p50 {served:.2} ms served, {alone:.2} ms bare; one JPEG at a time, CUDA");
    Ok(Figure { name: "extract-gpu-latency", unit: "ms", value: served - alone, target: Target::AtMost(1.0), note })
}
