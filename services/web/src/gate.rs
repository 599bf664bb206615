//! The layer: what is gRPC goes through, the rest is made gRPC.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, Version, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use prost_reflect::DescriptorError;
use tonic::body::Body;
use tower::{BoxError, Layer, Service};

use crate::{contract::Contract, cors::Origin, transcode::Transcoder, web::Web};

/// Puts a [`Gate`] before the services.
#[derive(Clone, Debug)]
pub struct WebLayer(Arc<Web>);

impl WebLayer {
    /// For `services` (full names), which the encoded descriptor sets describe, with messages of at most `message_bytes`; pages
    /// of `origins` may call, and no others.
    ///
    /// # Errors
    /// A set that is none: a fault of the build.
    pub fn new(
        sets: &[&[u8]],
        services: &[&str],
        origins: &[Origin],
        message_bytes: usize,
    ) -> Result<WebLayer, DescriptorError> {
        let contract = Contract::of(sets, services)?;
        let transcoder = Transcoder::new(message_bytes)?;
        Ok(WebLayer(Arc::new(Web::new(contract, transcoder, origins))))
    }
}

impl<S> Layer<S> for WebLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, web: self.0.clone() }
    }
}

/// Services that are called in gRPC, in grpc-web and in JSON.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    web: Arc<Web>,
}

impl<S, R> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Passage<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // Over HTTP/1.1 gRPC's trailers get lost on the way.
        if is_grpc(request.headers()) && request.version() == Version::HTTP_2 {
            return Passage { way: Way::Through { call: self.inner.call(request) } };
        }
        let call = Box::pin(self.web.clone().answer(self.inner.clone(), request));
        Passage { way: Way::Web { call } }
    }
}

/// Whether this is gRPC proper: `application/grpc`, `application/grpc+proto`, but not `application/grpc-web`.
fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

pin_project! {
    /// The wait for an answer's headers.
    pub struct Passage<F, E> {
        #[pin]
        way: Way<F, E>,
    }
}

pin_project! {
    #[project = Passing]
    enum Way<F, E> {
        Through { #[pin] call: F },
        Web { call: BoxFuture<'static, Result<Response<Body>, E>> },
    }
}

impl<F, E, R> Future for Passage<F, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            // The server would box the body just so; one that is boxed already it takes as it is.
            Passing::Through { call } => Poll::Ready(Ok(ready!(call.poll(context))?.map(Body::new))),
            Passing::Web { call } => call.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn grpc_is_told_from_grpc_web() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpc-web", false),
            ("application/grpc-web-text+proto", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_grpc(&headers), expected, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
