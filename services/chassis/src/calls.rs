//! Counts and times every gRPC call by method and status code.
//!
//! - `graft_rpc_started_total{method}`: calls begun.
//! - `graft_rpc_handled_total{method, code}`: calls ended, `code` as in `OK`, `INVALID_ARGUMENT`; `CANCELLED` where the
//!   caller went away.
//! - `graft_rpc_duration_seconds{method}`: from the first byte of the request to the last of the answer.
//! - `graft_rpc_in_flight{method}`: calls begun and not ended.
//!
//! `method` is one of those that are served, or `unknown`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use metrics::{Counter, Gauge, counter, gauge, histogram};
use pin_project_lite::pin_project;
use tonic::Code;
use tower::{Layer, Service};

use crate::methods::Methods;

/// Puts [`CountCalls`] around a service.
#[derive(Clone, Debug)]
pub struct CountCallsLayer(pub Methods);

impl<S> Layer<S> for CountCallsLayer {
    type Service = CountCalls<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountCalls { inner, methods: self.0.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct CountCalls<S> {
    inner: S,
    methods: Methods,
}

impl<S, B, R> Service<Request<B>> for CountCalls<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<CountedBody<R>>;
    type Error = S::Error;
    type Future = CountedCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::begin(self.methods.name(request.uri().path()));
        CountedCall { inner: self.inner.call(request), call: Some(call) }
    }
}

/// A call that has begun. Dropping it ends it.
#[derive(Debug)]
pub struct Call {
    method: Arc<str>,
    begun: Instant,
    code: Code,
}

impl Call {
    fn begin(method: Arc<str>) -> Call {
        counter(&method).increment(1);
        in_flight(&method).increment(1.0);
        // Until the answer says otherwise: a call that is dropped was given up by its caller.
        Call { method, begun: Instant::now(), code: Code::Cancelled }
    }

    fn read_code(&mut self, headers: &HeaderMap) -> bool {
        let Some(code) = headers.get("grpc-status") else { return false };
        self.code = Code::from_bytes(code.as_bytes());
        true
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = code_name(self.code);
        counter!("graft_rpc_handled_total", "method" => self.method.clone(), "code" => code).increment(1);
        histogram!("graft_rpc_duration_seconds", "method" => self.method.clone())
            .record(self.begun.elapsed().as_secs_f64());
        in_flight(&self.method).decrement(1.0);
    }
}

fn counter(method: &Arc<str>) -> Counter {
    counter!("graft_rpc_started_total", "method" => method.clone())
}

fn in_flight(method: &Arc<str>) -> Gauge {
    gauge!("graft_rpc_in_flight", "method" => method.clone())
}

/// The code's name as the gRPC specification writes it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

pin_project! {
    /// The wait for an answer's headers.
    pub struct CountedCall<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F, R, E> Future for CountedCall<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<CountedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        let mut call = this.call.take();
        // An answer without a body carries its status among its headers, and is over with them.
        if call.as_mut().is_some_and(|call| call.read_code(response.headers())) {
            call = None;
        }
        Poll::Ready(Ok(response.map(|inner| CountedBody { inner, call })))
    }
}

pin_project! {
    /// An answer whose end is waited for: the status comes in its trailers.
    pub struct CountedBody<R> {
        #[pin]
        inner: R,
        call: Option<Call>,
    }
}

impl<R: Body> Body for CountedBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(mut call) = this.call.take()
        {
            call.read_code(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
