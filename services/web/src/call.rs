//! A call in JSON: its messages are turned into gRPC's as the service asks for them, and its answers back.

use bytes::Bytes;
use futures::{Stream, stream};
use http::{Response, header::CONTENT_LENGTH, request::Parts, uri::PathAndQuery};
use http_body_util::BodyExt;
use tonic::{Request, Status, body::Body, client::Grpc};
use tower::{BoxError, Service, ServiceExt};

use crate::{
    answer::Writer,
    codec::Encoded,
    contract::Method,
    deadline::Deadline,
    form::Form,
    messages::{Messages, too_large},
    metadata,
    refusal::{Refusal, Refused},
    transcode::Transcoder,
};

/// Call `method` of `inner` with the messages of `body`, which are in `form`.
pub(crate) async fn call<S, R>(
    inner: S,
    transcoder: &Transcoder,
    method: &Method,
    form: Form,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal>
where
    S: Service<http::Request<Body>, Response = Response<R>> + Send,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let deadline = Deadline::of(&parts.headers)?;
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if form == Form::Document && announced.is_some_and(|bytes| bytes > transcoder.limit as u64) {
        return Err(too_large(transcoder.limit));
    }
    let path = PathAndQuery::try_from(parts.uri.path()).map_err(|error| Refusal::invalid(error.to_string()))?;
    let refused = Refused::default();
    let messages = Requests {
        messages: Messages::new(body, form, transcoder.limit),
        transcoder: transcoder.clone(),
        method: method.clone(),
        refused: refused.clone(),
    };
    let metadata = metadata::of_headers(parts.headers, deadline.header());
    let request = Request::from_parts(metadata, parts.extensions, messages.stream());

    // tonic calls what an encoder fails with INTERNAL: the service is told what it is.
    let told = refused.clone();
    let inner = inner.map_request(move |request: http::Request<Body>| {
        let told = told.clone();
        request.map(|body| Body::new(body.map_err(move |status| told.or(status).status)))
    });
    let mut grpc = Grpc::new(inner).max_decoding_message_size(transcoder.limit);
    let called = deadline.within(async {
        grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        grpc.streaming(request, path, Encoded).await
    });
    let called = called.await.map_err(|status| refused.or(status));
    let writer = Writer {
        transcoder: transcoder.clone(),
        kind: method.output.clone(),
        form: form.of_answers(method),
        deadline,
        refused,
    };
    match called {
        Ok(answer) => {
            let (metadata, answers, _) = answer.into_parts();
            if writer.form == Form::Document {
                writer.only(answers, metadata).await
            } else {
                Ok(writer.all(answers, metadata))
            }
        }
        Err(refusal) if writer.form == Form::Envelopes => Ok(writer.none(&refusal)),
        Err(refusal) => Err(refusal),
    }
}

/// The messages of a call, for its service.
struct Requests {
    messages: Messages,
    transcoder: Transcoder,
    method: Method,
    refused: Refused,
}

impl Requests {
    /// One by one, as they are asked for. What is wrong with one is the last.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static {
        stream::unfold(Some(self), |requests| async move {
            let mut requests = requests?;
            match requests.next().await {
                Ok(message) => {
                    // A method that takes one message has it now.
                    let more = if requests.method.takes_stream { Some(requests) } else { None };
                    message.map(|message| (Ok(message), more))
                }
                Err(refusal) => {
                    // What was encoded before goes on its way first: tonic drops it where an error follows at once.
                    tokio::task::yield_now().await;
                    Some((Err(requests.refused.say(refusal)), None))
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let text =
            if self.method.takes_stream { self.messages.next().await? } else { Some(self.messages.only().await?) };
        let Some(text) = text else { return Ok(None) };
        Ok(Some(self.transcoder.read(self.method.input.clone(), text).await?))
    }
}
