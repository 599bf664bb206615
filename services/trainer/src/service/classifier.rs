//! `graft.v1.ClassifierService`.

use std::sync::Arc;

use futures::StreamExt;
use graft_chassis::{deadline, status, streams};
use graft_proto::v1::{
    ClassifyOptions, ClassifyRequest, ClassifyResponse, ClassifyStreamRequest, ClassifyStreamResponse,
    classifier_service_server::ClassifierService, classify_input, classify_stream_request,
};
use metrics::counter;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, classify_stream::Stream};
use crate::{
    classify::{Answerer, Prepared, Question, Target, Wanted},
    embed::Extractor,
    given,
    names::{Tenant, check_key},
};

/// Serves heads.
#[derive(Clone, Debug)]
pub struct Classifier {
    answerer: Answerer,
    extractor: Extractor,
    /// One permit a call, and one a stream.
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Classifier {
    /// Serve the heads of `answerer`, embedding with `extractor`, to at most `calls` calls and `streams` streams at once.
    pub fn new(answerer: Answerer, extractor: Extractor, calls: usize, streams: usize) -> Classifier {
        Classifier {
            answerer,
            extractor,
            calls: Arc::new(Semaphore::new(calls)),
            streams: Arc::new(Semaphore::new(streams)),
        }
    }

    /// A backbone's name for the space that the extractor has it in, where one is named.
    async fn place(&self, target: &mut Target) -> Result<(), Status> {
        if let Target::Every(every) = target
            && !every.space.contains('@')
        {
            every.space = self.extractor.backbone(&every.space).await?.space;
        }
        Ok(())
    }
}

/// The backbone of an embedding space.
pub fn backbone(space: &str) -> &str {
    space.split_once('@').map_or(space, |(backbone, _)| backbone)
}

/// An input without either of the two that it may be.
pub fn missing_input() -> Status {
    status::invalid("input", "missing; an image or an embedding is accepted")
}

/// Count an answer: once for each head.
pub fn count(result: &Result<ClassifyResponse, Status>) {
    let heads = result.as_ref().map_or(1, |response| response.classifications.len().max(1));
    counter!("graft_trainer_classifications_total").increment(heads as u64);
}

#[tonic::async_trait]
impl ClassifierService for Classifier {
    async fn classify(&self, request: Request<ClassifyRequest>) -> Result<Response<ClassifyResponse>, Status> {
        let _permit = self.calls.try_acquire().map_err(|_| {
            let message = "this trainer has as many classifications under way as it takes (--max-classify-calls)";
            status::exhausted("calls", message)
        })?;
        let (tenant, deadline) = (Tenant::of(&request), deadline::of(request.metadata()));
        let ClassifyRequest { head, input, top_k, detect_unknown, heads, every_head, sticky_key } =
            request.into_inner();
        let mut target = Target::parse("", &head, &heads, every_head)?;
        let wanted = Wanted::parse("top_k", top_k, detect_unknown, &target)?;
        check_key("sticky_key", &sticky_key)?;
        self.place(&mut target).await?;
        let question = Question { tenant, target, wanted };
        let Prepared { space, head } = self.answerer.prepare(&question, &sticky_key).await?;
        let (space, embedding) = match input.and_then(|input| input.input).ok_or_else(missing_input)? {
            classify_input::Input::Embedding(embedding) => {
                (embedding.space.as_str().into(), given::numbers("input.embedding", &embedding)?)
            }
            classify_input::Input::Image(image) => {
                let embedded = self.extractor.embed(backbone(&space), &space, image, deadline).await?;
                (space, embedded)
            }
        };
        // The head that was found is asked, whatever its name stands for by now.
        let mut found = match head {
            Some(head) => self.answerer.of_one(head, &space, embedding, 1, wanted).await?,
            None => self.answerer.classify(&question, &space, embedding, &[&sticky_key]).await?,
        };
        let found = found.pop().unwrap_or_else(|| Err(status::internal("an input without an answer")));
        count(&found);
        found.map(Response::new)
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
        let ClassifyOptions { head, top_k, detect_unknown, heads, every_head, sticky_key } = options;
        let mut target = Target::parse("options.", &head, &heads, every_head)?;
        let wanted = Wanted::parse("options.top_k", top_k, detect_unknown, &target)?;
        check_key("options.sticky_key", &sticky_key)?;
        self.place(&mut target).await?;
        let question = Question { tenant, target, wanted };
        let Prepared { space, .. } = self.answerer.prepare(&question, &sticky_key).await?;
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| {
            let message =
                "this trainer has as many streams of classifications open as it takes (--max-classify-streams)";
            status::exhausted("streams", message)
        })?;
        let (mut stream, receiver) =
            Stream::new(question, space, sticky_key, self.answerer.clone(), self.extractor.clone());
        tokio::spawn(async move {
            let _permit = permit;
            stream.run(requests).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}
