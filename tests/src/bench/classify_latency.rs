//! `classify-latency`: what the trainer adds to an image: p50 of `Classify`, less p50 of the extractor's own embedding of the same
//! image on a stream that is open.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use graft_proto::v1::{ClassifyInput, ClassifyRequest, ExtractOptions, Priority, classify_input::Input};

use super::{
    Figure, Target, fitted,
    images::photos,
    stream::{Stream, quantile},
};
use crate::services::Pair;

/// JPEGs, each measured once both ways.
const JPEGS: usize = 300;
/// Classes of the head.
const CLASSES: usize = 10;

/// Measure it.
pub async fn run() -> Result<Vec<Figure>> {
    let pair = Pair::start().await?;
    let space = fitted::Space::of(&pair.extractor).await?;
    fitted::register(&pair, &space, 1, CLASSES).await?;
    let options = ExtractOptions { priority: Priority::Interactive as i32, ..Default::default() };
    let mut stream = Stream::open(&pair.extractor, options).await?;
    let mut client = pair.trainer.classifier_client().await?;
    let (mut classified, mut embedded): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for image in photos(JPEGS)? {
        embedded.extend(stream.run(std::slice::from_ref(&image), 1).await?);
        let input = Some(ClassifyInput { input: Some(Input::Image(image)) });
        let request = ClassifyRequest { head: fitted::name(0), input, ..Default::default() };
        let begun = Instant::now();
        let answer = client.classify(request).await?.into_inner();
        classified.push(begun.elapsed());
        ensure!(answer.predictions.len() == 5, "{answer:?}");
    }
    let (classified, embedded) = (quantile(&classified, 0.5), quantile(&embedded, 0.5));
    let note = format!("p50 {classified:.2} ms classified, {embedded:.2} ms embedded");
    let value = classified - embedded;
    Ok(vec![Figure { name: "classify-latency", unit: "ms", value, target: Target::AtMost(1.0), note }])
}
