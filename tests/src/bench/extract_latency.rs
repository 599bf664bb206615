//! `extract-latency`: what the service adds to one image at a time: p50 of an interactive stream with one image under way, less
//! p50 of the bare decode, preprocessing and run, with the same threads, in this process.

use std::time::{Duration, Instant};

use anyhow::Result;
use graft_extractor::backbone::{
    built_in,
    session::{Provider, Runtime},
};
use graft_proto::v1::{ExtractOptions, Priority};

use super::{
    Figure, Target,
    bare::Bare,
    images::{photos, source},
    stream::{Stream, quantile},
};
use crate::services::{Service, onnxruntime};

/// JPEGs, each measured once both ways.
const JPEGS: usize = 300;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let runtime = Runtime::load(&onnxruntime())?;
    let backbone = built_in::entry("efficientnet-lite0", Provider::Cpu)?;
    let threads = std::thread::available_parallelism()?.get();
    let mut bare = Bare::open(&runtime, &backbone, threads, 1)?;
    let extractor = Service::extractor(&[]).await?;
    let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
    let mut stream = Stream::open(&extractor, options).await?;
    let (mut served, mut alone): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for image in photos(JPEGS)? {
        let source = source(&image)?;
        let begun = Instant::now();
        bare.embed(std::slice::from_ref(&source))?;
        alone.push(begun.elapsed());
        served.extend(stream.run(&[image], 1).await?);
    }
    let (served, alone) = (quantile(&served, 0.5), quantile(&alone, 0.5));
    let note = format!("p50 {served:.2} ms served, {alone:.2} ms bare");
    Ok(vec![Figure { name: "extract-latency", unit: "ms", value: served - alone, target: Target::AtMost(1.0), note }])
}
