//! The answers of a call, written one by one as they come.

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::StreamBody;
use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};
use tonic::{Status, Streaming, body::Body, metadata::MetadataMap};

use crate::{
    deadline::Deadline,
    form::Form,
    metadata,
    refusal::{Refusal, Refused},
    transcode::Transcoder,
};

/// The flags of an envelope that holds no message, but how the stream ended.
const END: u8 = 2;

/// What answers are written by.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Turns them around.
    pub(crate) transcoder: Transcoder,
    /// What they are.
    pub(crate) kind: MessageDescriptor,
    /// How they stand in the body.
    pub(crate) form: Form,
    /// How long the caller waits.
    pub(crate) deadline: Deadline,
    /// What was wrong with the caller's messages.
    pub(crate) refused: Refused,
}

impl Writer {
    /// The only answer, with its metadata.
    pub(crate) async fn only(
        self,
        mut answers: Streaming<Bytes>,
        metadata: MetadataMap,
    ) -> Result<Response<Body>, Refusal> {
        let answered = async {
            let missing = || Status::internal("the method ended without an answer");
            let answer = answers.message().await?.ok_or_else(missing)?;
            let trailers = answers.trailers().await?.unwrap_or_default();
            Ok::<_, Status>((self.transcoder.write(self.kind.clone(), answer, "").await?, trailers))
        };
        let (json, trailers) = self.deadline.within(answered).await.map_err(|status| self.refused.or(status))?;
        if let Some(refusal) = self.refused.said() {
            return Err(refusal);
        }
        let mut response = respond(self.form, metadata, Body::new(http_body_util::Full::from(json)));
        response.headers_mut().extend(metadata::to_headers(trailers, "trailer-"));
        Ok(response)
    }

    /// Any number of answers.
    pub(crate) fn all(self, answers: Streaming<Bytes>, metadata: MetadataMap) -> Response<Body> {
        let form = self.form;
        let written = stream::unfold(Some((self, answers)), async |state| {
            let (writer, mut answers) = state?;
            match writer.next(&mut answers).await {
                Ok(Some(written)) => Some((written, Some((writer, answers)))),
                Ok(None) => {
                    let trailers = answers.trailers().await.ok().flatten().unwrap_or_default();
                    Some((writer.end(None, trailers), None))
                }
                Err(refusal) => {
                    let trailers = refusal.status.metadata().clone();
                    Some((writer.end(Some(&refusal), trailers), None))
                }
            }
        });
        let frames = futures::StreamExt::map(written, |written| Ok::<_, Status>(Frame::data(written)));
        respond(form, metadata, Body::new(StreamBody::new(frames)))
    }

    /// No answer at all: the call failed.
    pub(crate) fn none(self, refusal: &Refusal) -> Response<Body> {
        let end = self.end(Some(refusal), refusal.status.metadata().clone());
        respond(self.form, MetadataMap::new(), Body::new(http_body_util::Full::from(end)))
    }

    async fn next(&self, answers: &mut Streaming<Bytes>) -> Result<Option<Bytes>, Refusal> {
        let after = if self.form == Form::Lines { "\n" } else { "" };
        let next = async {
            let Some(answer) = answers.message().await? else { return Ok(None) };
            self.transcoder.write(self.kind.clone(), answer, after).await.map(Some)
        };
        let written = self.deadline.within(next).await.map_err(|status| self.refused.or(status))?;
        match written {
            // The service may have taken the wrong message for the last.
            None => self.refused.said().map_or(Ok(None), Err),
            Some(json) if self.form == Form::Envelopes => Ok(Some(envelope(0, &json))),
            Some(line) => Ok(Some(line)),
        }
    }

    /// What comes after the last answer.
    fn end(&self, refusal: Option<&Refusal>, trailers: MetadataMap) -> Bytes {
        let error = refusal.map(|refusal| refusal.json(&self.transcoder.details));
        if self.form != Form::Envelopes {
            return error.map_or_else(Bytes::new, |error| format!("{}\n", json!({ "error": error })).into());
        }
        let mut end = Map::new();
        end.extend(error.map(|error| ("error".to_owned(), error)));
        let trailers = metadata::to_headers(trailers, "");
        if !trailers.is_empty() {
            end.insert("metadata".to_owned(), values(&trailers));
        }
        envelope(END, Value::Object(end).to_string().as_bytes())
    }
}

/// Headers as the Connect protocol writes them in JSON.
fn values(headers: &HeaderMap) -> Value {
    let named = headers.keys().map(|name| {
        let all = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        (name.to_string(), all.collect())
    });
    Value::Object(named.collect())
}

fn envelope(flags: u8, json: &[u8]) -> Bytes {
    let mut envelope = BytesMut::with_capacity(5 + json.len());
    envelope.put_u8(flags);
    // Messages of 4 GiB do not get here: the services' own are far smaller.
    envelope.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
    envelope.put_slice(json);
    envelope.freeze()
}

fn respond(form: Form, metadata: MetadataMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = metadata::to_headers(metadata, "");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    response
}
