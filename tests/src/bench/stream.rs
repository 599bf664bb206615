//! One open `Extract` stream that sends images one by one and times each answer.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use graft_proto::v1::{
    ExtractItem, ExtractItems, ExtractOptions, ExtractRequest, ExtractResponse, Image, extract_request,
    extract_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::services::Service;

/// An open stream.
#[derive(Debug)]
pub struct Stream {
    requests: mpsc::UnboundedSender<ExtractRequest>,
    answers: Streaming<ExtractResponse>,
    sent: HashMap<String, Instant>,
    count: u64,
}

impl Stream {
    /// Open a stream, and wait for the first answer: that of the backbone.
    pub async fn open(extractor: &Service, options: ExtractOptions) -> Result<Stream> {
        let (requests, receiver) = mpsc::unbounded_channel();
        requests.send(ExtractRequest { message: Some(extract_request::Message::Options(options)) })?;
        let mut client = extractor.extractor_client().await?;
        let mut answers = client.extract(UnboundedReceiverStream::new(receiver)).await?.into_inner();
        answers.message().await?.context("the backbone")?;
        Ok(Stream { requests, answers, sent: HashMap::new(), count: 0 })
    }

    /// Send images in one message, as the clients do with what is at hand.
    pub fn send<'a>(&mut self, images: impl IntoIterator<Item = &'a Image>) -> Result<()> {
        let items = images.into_iter().map(|image| {
            self.count += 1;
            let id = self.count.to_string();
            self.sent.insert(id.clone(), Instant::now());
            ExtractItem { id, image: Some(image.clone()), ..Default::default() }
        });
        let items = ExtractItems { items: items.collect() };
        if !items.items.is_empty() {
            self.requests.send(ExtractRequest { message: Some(extract_request::Message::Items(items)) })?;
        }
        Ok(())
    }

    /// Images that are not answered.
    pub fn unanswered(&self) -> usize {
        self.sent.len()
    }

    /// Wait for an answer: how long each of its images took.
    pub async fn receive(&mut self) -> Result<Vec<Duration>> {
        let answer = self.answers.message().await?.context("the stream ended early")?;
        let Some(extract_response::Message::Embeddings(batch)) = answer.message else { bail!("{answer:?}") };
        let took: Vec<Duration> =
            batch.ids.iter().filter_map(|id| self.sent.remove(id)).map(|sent| sent.elapsed()).collect();
        ensure!(took.len() == batch.ids.len(), "an answer to what was not asked");
        Ok(took)
    }

    /// Keep `outstanding` images under way until all of `images` are answered: how long each took.
    pub async fn run(&mut self, images: &[Image], outstanding: usize) -> Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(images.len());
        let mut images = images.iter();
        loop {
            let room = outstanding.saturating_sub(self.unanswered());
            self.send(images.by_ref().take(room))?;
            if self.unanswered() == 0 {
                return Ok(took);
            }
            took.extend(self.receive().await?);
        }
    }
}

/// The quantile `q`, 0 to 1, of some durations, in milliseconds: the nearest rank.
pub fn quantile(took: &[Duration], q: f64) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_numbers() {
        let took: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| quantile(&took, q)), [1.0, 50.0, 99.0, 100.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
