//! `graft.v1.ClassifierService`.

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt;
use graft_chassis::{deadline, status, streams};
use graft_proto::v1::{
    ClassifyInput, ClassifyItem, ClassifyRequest, ClassifyResponse, ClassifyStreamRequest, ClassifyStreamResponse,
    Image, Priority, classifier_service_server::ClassifierService, classify_input, classify_stream_request,
    classify_stream_response,
};
use metrics::counter;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Answers;
use crate::{
    classify::{HeadCache, ServedHead, Wanted},
    embed::{self, Answer, Embedding, Extractor, size},
    names::{HeadRef, Tenant, check_id},
};

/// Images of one stream at the extractors, at the most, for each of them that there is, and their bytes.
const IMAGES_OUT: usize = 128;
const BYTES_OUT: usize = 32 << 20;
/// Answers that the caller of a stream has not read, at the most.
const ANSWERS_OUT: usize = 128;

/// Serves heads.
#[derive(Clone, Debug)]
pub struct Classifier {
    heads: HeadCache,
    extractor: Extractor,
    /// One permit a call, and one a stream.
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Classifier {
    /// Serve `heads`, embedding with `extractor`, to at most `calls` calls and `streams` streams at once.
    pub fn new(heads: HeadCache, extractor: Extractor, calls: usize, streams: usize) -> Classifier {
        Classifier {
            heads,
            extractor,
            calls: Arc::new(Semaphore::new(calls)),
            streams: Arc::new(Semaphore::new(streams)),
        }
    }
}

fn missing_input() -> Status {
    status::invalid("input", "missing; an image or an embedding is accepted")
}

#[tonic::async_trait]
impl ClassifierService for Classifier {
    async fn classify(&self, request: Request<ClassifyRequest>) -> Result<Response<ClassifyResponse>, Status> {
        let _permit = self.calls.try_acquire().map_err(|_| {
            let message = "this trainer has as many classifications under way as it takes (--max-classify-calls)";
            status::exhausted("calls", message)
        })?;
        let (tenant, deadline) = (Tenant::of(&request), deadline::of(request.metadata()));
        let ClassifyRequest { head, input, top_k, detect_unknown } = request.into_inner();
        let head = self.heads.get(&tenant, &HeadRef::parse("head", &head)?).await?;
        let wanted = Wanted::check(top_k, detect_unknown, &head)?;
        let embedding = match input.and_then(|input| input.input).ok_or_else(missing_input)? {
            classify_input::Input::Embedding(embedding) => head.read(&embedding)?,
            classify_input::Input::Image(image) => {
                self.extractor.embed(&head.head.backbone, &head.head.space, image, deadline).await?
            }
        };
        let found = head.classify(embedding, wanted)?;
        counter!("graft_trainer_classifications_total").increment(1);
        Ok(Response::new(found))
    }

    type ClassifyStreamStream = Answers<ClassifyStreamResponse>;

    async fn classify_stream(
        &self,
        request: Request<Streaming<ClassifyStreamRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        let tenant = Tenant::of(&request);
        let mut requests = request.into_inner();
        let options = match streams::first(&mut requests).await?.and_then(|request| request.message) {
            Some(classify_stream_request::Message::Options(options)) => options,
            _ => return Err(status::invalid("options", "the first message of the stream must hold the options")),
        };
        let head = self.heads.get(&tenant, &HeadRef::parse("options.head", &options.head)?).await?;
        let wanted = Wanted::check(options.top_k, options.detect_unknown, &head)?;
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| {
            let message =
                "this trainer has as many streams of classifications open as it takes (--max-classify-streams)";
            status::exhausted("streams", message)
        })?;
        let (answers, receiver) = mpsc::channel(ANSWERS_OUT);
        let mut stream = Stream {
            head,
            wanted,
            extractor: self.extractor.clone(),
            answers,
            embedding: None,
            out: HashMap::new(),
            bytes_out: 0,
            sent: 0,
        };
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(status) = stream.pump(requests).await {
                // Nobody reads any more: then there is nobody to tell.
                let _ = stream.answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// A stream of classifications under way.
struct Stream {
    head: Arc<ServedHead>,
    wanted: Wanted,
    extractor: Extractor,
    answers: mpsc::Sender<Result<ClassifyStreamResponse, Status>>,
    embedding: Option<Embedding>,
    /// The caller's id and the bytes of each image at the extractor, by its id there.
    out: HashMap<String, (String, usize)>,
    bytes_out: usize,
    sent: u64,
}

impl Stream {
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
        let ClassifyItem { id, input } = match request.message {
            Some(classify_stream_request::Message::Item(item)) => item,
            Some(classify_stream_request::Message::Options(_)) => {
                return Err(status::invalid("options", "given twice; only the first message holds the options"));
            }
            None => return Err(status::invalid("item", "a message without an item")),
        };
        check_id("item.id", &id)?;
        if self.out.values().any(|(under_way, _)| *under_way == id) {
            let message = format!("`{id}` was used for an input that is not answered yet; ids must be unique");
            return Err(status::invalid("item.id", message));
        }
        match input.and_then(|ClassifyInput { input }| input) {
            Some(classify_input::Input::Image(image)) => self.send(id, image).await,
            Some(classify_input::Input::Embedding(embedding)) => {
                let result = self.head.read(&embedding).and_then(|row| self.head.classify(row, self.wanted));
                self.answer(id, result).await
            }
            None => self.answer(id, Err(missing_input())).await,
        }
    }

    async fn send(&mut self, id: String, image: Image) -> Result<(), Status> {
        if self.embedding.is_none() {
            let (backbone, space) = (&self.head.head.backbone, &self.head.head.space);
            self.embedding = Some(self.extractor.begin(backbone, space, None, Priority::Bulk, None).await?);
        }
        self.sent += 1;
        let there = self.sent.to_string();
        let bytes = size(&image);
        self.bytes_out += bytes;
        self.out.insert(there.clone(), (id, bytes));
        if let Some(embedding) = &self.embedding {
            embedding.send(vec![(there, image)]);
        }
        Ok(())
    }

    async fn take(&mut self, answer: Option<Answer>) -> Result<(), Status> {
        let results: Vec<(String, Result<Vec<f32>, Status>)> = match answer {
            None => return Err(self.extractor.ended_early()),
            Some(Answer::Embedded(rows)) => rows.into_iter().map(|row| (row.id, Ok(row.numbers))).collect(),
            Some(Answer::Refused(id, status)) => vec![(id, Err(status))],
        };
        for (there, result) in results {
            let Some((id, bytes)) = self.out.remove(&there) else { continue };
            self.bytes_out -= bytes;
            let result = result.and_then(|row| self.head.classify(row, self.wanted));
            self.answer(id, result).await?;
        }
        Ok(())
    }

    async fn answer(&self, id: String, result: Result<ClassifyResponse, Status>) -> Result<(), Status> {
        counter!("graft_trainer_classifications_total").increment(1);
        let result = match result {
            Ok(classification) => classify_stream_response::Result::Classification(classification),
            Err(status) => classify_stream_response::Result::Error(status::to_item_error(&status)),
        };
        let answer = ClassifyStreamResponse { id, result: Some(result) };
        self.answers.send(Ok(answer)).await.map_err(|_| Status::cancelled("the caller went away"))
    }
}
