//! A stream of classifications.

use std::{collections::HashMap, sync::Arc};

use graft_chassis::status;
use graft_proto::v1::{
    ClassifyInput, ClassifyItem, ClassifyResponse, ClassifyStreamRequest, ClassifyStreamResponse, Image, Priority,
    classify_input, classify_stream_request, classify_stream_response,
};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::classifier::{backbone, count, missing_input};
use crate::{
    classify::{Answerer, Question, Target},
    embed::{self, Answer, Embedding, Extractor, size},
    given,
    names::{check_id, check_key},
};

/// Images of one stream at the extractors, at the most, for each of them that there is, and their bytes.
const IMAGES_OUT: usize = 128;
const BYTES_OUT: usize = 32 << 20;
/// Answers that the caller of a stream has not read, at the most: of one head, and of many, which are large.
const ANSWERS_OUT: usize = 128;
const ANSWERS_OUT_OF_MANY: usize = 4;
/// Embeddings that share a pass over the heads, at the most.
const ROWS_AT_ONCE: usize = 16;

/// An image at the extractor.
struct Waiting {
    /// The caller's id.
    id: String,
    /// The caller's key; empty if there is none.
    key: String,
    bytes: usize,
}

/// A stream of classifications under way.
pub struct Stream {
    question: Question,
    /// Where images are embedded.
    space: Arc<str>,
    /// The key of items that have none of their own; empty if there is none.
    key: String,
    answerer: Answerer,
    extractor: Extractor,
    answers: mpsc::Sender<Result<ClassifyStreamResponse, Status>>,
    embedding: Option<Embedding>,
    /// The images at the extractor, by their ids there.
    out: HashMap<String, Waiting>,
    bytes_out: usize,
    sent: u64,
}

impl Stream {
    /// A stream that asks `question` of each input, with `key` where it has none, and embeds images into `space`; and its answers.
    pub fn new(
        question: Question,
        space: Arc<str>,
        key: String,
        answerer: Answerer,
        extractor: Extractor,
    ) -> (Stream, mpsc::Receiver<Result<ClassifyStreamResponse, Status>>) {
        let one = matches!(question.target, Target::One(_));
        let (answers, receiver) = mpsc::channel(if one { ANSWERS_OUT } else { ANSWERS_OUT_OF_MANY });
        let stream = Stream {
            question,
            space,
            key,
            answerer,
            extractor,
            answers,
            embedding: None,
            out: HashMap::new(),
            bytes_out: 0,
            sent: 0,
        };
        (stream, receiver)
    }

    /// Answer everything.
    pub async fn run(&mut self, requests: Streaming<ClassifyStreamRequest>) {
        if let Err(status) = self.pump(requests).await {
            // Nobody reads any more: then there is nobody to tell.
            let _ = self.answers.send(Err(status)).await;
        }
    }

    async fn pump(&mut self, mut requests: Streaming<ClassifyStreamRequest>) -> Result<(), Status> {
        let mut more = true;
        while more || !self.out.is_empty() {
            tokio::select! {
                request = requests.message(), if more && self.has_room() => match request? {
                    Some(request) => self.read(request).await?,
                    None => more = false,
                },
                answer = embed::next(&mut self.embedding), if !self.out.is_empty() => self.take(answer?).await?,
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let extractors = self.extractor.count();
        self.out.len() < IMAGES_OUT * extractors && self.bytes_out < BYTES_OUT * extractors
    }

    async fn read(&mut self, request: ClassifyStreamRequest) -> Result<(), Status> {
        let ClassifyItem { id, input, sticky_key } = match request.message {
            Some(classify_stream_request::Message::Item(item)) => item,
            Some(classify_stream_request::Message::Options(_)) => {
                return Err(status::invalid("options", "given twice; only the first message holds the options"));
            }
            None => return Err(status::invalid("item", "a message without an item")),
        };
        check_id("item.id", &id)?;
        check_key("item.sticky_key", &sticky_key)?;
        let key = if sticky_key.is_empty() { self.key.clone() } else { sticky_key };
        if self.out.values().any(|waiting| waiting.id == id) {
            let message = format!("`{id}` was used for an input that is not answered yet; ids must be unique");
            return Err(status::invalid("item.id", message));
        }
        match input.and_then(|ClassifyInput { input }| input) {
            Some(classify_input::Input::Image(image)) => self.send(id, key, image).await,
            Some(classify_input::Input::Embedding(embedding)) => {
                let result = match given::numbers("input.embedding", &embedding) {
                    Ok(row) => self.classify(&embedding.space, row, &[&key]).await.remove(0),
                    Err(status) => Err(status),
                };
                self.answer(id, result).await
            }
            None => self.answer(id, Err(missing_input())).await,
        }
    }

    async fn send(&mut self, id: String, key: String, image: Image) -> Result<(), Status> {
        if self.embedding.is_none() {
            let embedding = self.extractor.begin(backbone(&self.space), &self.space, None, Priority::Bulk, None);
            self.embedding = Some(embedding.await?);
        }
        self.sent += 1;
        let there = self.sent.to_string();
        let bytes = size(&image);
        self.bytes_out += bytes;
        self.out.insert(there.clone(), Waiting { id, key, bytes });
        if let Some(embedding) = &self.embedding {
            embedding.send(vec![(there, image)]);
        }
        Ok(())
    }

    async fn take(&mut self, answer: Option<Answer>) -> Result<(), Status> {
        let embedded = match answer {
            None => return Err(self.extractor.ended_early()),
            Some(Answer::Embedded(rows)) => rows,
            Some(Answer::Refused(there, status)) => return self.settle(&there, Err(status)).await,
        };
        for rows in embedded.chunks(ROWS_AT_ONCE) {
            let numbers = rows.iter().flat_map(|row| &row.numbers).copied().collect();
            let key = |id: &String| self.out.get(id).map_or("", |waiting| &waiting.key[..]);
            let keys: Vec<&str> = rows.iter().map(|row| key(&row.id)).collect();
            let results = self.classify(&self.space, numbers, &keys).await;
            for (row, result) in rows.iter().zip(results) {
                self.settle(&row.id, result).await?;
            }
        }
        Ok(())
    }

    /// One answer for each of the embeddings of `space`, whose keys are `keys`.
    async fn classify(&self, space: &str, numbers: Vec<f32>, keys: &[&str]) -> Vec<Result<ClassifyResponse, Status>> {
        match self.answerer.classify(&self.question, space, numbers, keys).await {
            Ok(results) => results,
            Err(status) => vec![Err(status); keys.len()],
        }
    }

    /// Answer an image that was at the extractor.
    async fn settle(&mut self, there: &str, result: Result<ClassifyResponse, Status>) -> Result<(), Status> {
        let Some(Waiting { id, bytes, .. }) = self.out.remove(there) else { return Ok(()) };
        self.bytes_out -= bytes;
        self.answer(id, result).await
    }

    async fn answer(&self, id: String, result: Result<ClassifyResponse, Status>) -> Result<(), Status> {
        count(&result);
        let result = match result {
            Ok(classification) => classify_stream_response::Result::Classification(classification),
            Err(status) => classify_stream_response::Result::Error(status::to_item_error(&status)),
        };
        let answer = ClassifyStreamResponse { id, result: Some(result) };
        self.answers.send(Ok(answer)).await.map_err(|_| Status::cancelled("the caller went away"))
    }
}
