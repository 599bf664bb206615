//! What is done to each call on its way: the token, a deadline, and retries of what is safe to make again.
//!
//! # Layout
//! - [`methods`]: which calls have a deadline, and which are made again. `again`: the making again. `timeout`: deadlines on the
//!   wire.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{Request, Response, header::AUTHORIZATION};
use tonic::{Status, TimeoutExpired, body::Body, transport::Channel};

use self::methods::Method;
use crate::{connect::token::Bearer, retry::Retry};

mod again;
pub mod methods;
mod timeout;

pub(crate) use again::find;

/// What travels through a stack of services when a call fails before there is a status.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How calls are made.
#[derive(Debug)]
pub(crate) struct How {
    /// Says who calls; nobody in particular without one.
    pub bearer: Option<Bearer>,
    /// How what is safe to make again is made again.
    pub retry: Retry,
    /// How streams that were lost are opened again.
    pub resume: Retry,
    /// How long a unary call may take that brings no deadline of its own; as [`methods`] says unless told.
    pub deadline: Option<Duration>,
}

/// A connection that adds to each call what its service's callers agreed on: the generated stubs take it for a channel.
#[derive(Clone, Debug)]
pub struct Calls {
    channel: Channel,
    how: Arc<How>,
}

impl Calls {
    pub(crate) fn new(channel: Channel, how: How) -> Calls {
        Calls { channel, how: Arc::new(how) }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) fn resume(&self) -> Retry {
        self.how.resume
    }

    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        self.how.bearer.as_ref()
    }
}

impl tower::Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        tower::Service::poll_ready(&mut self.channel, context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The channel that said it is ready makes this call; the next one asks another.
        let next = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, next);
        if let Some(bearer) = &self.how.bearer {
            request.headers_mut().entry(AUTHORIZATION).or_insert_with(|| bearer.header());
        }
        match Method::of(request.uri().path()) {
            Some(method) => Box::pin(unary(channel, self.how.clone(), method, request)),
            None => Box::pin(async move { Ok(tower::Service::call(&mut channel, request).await?) }),
        }
    }
}

/// A call with one request and one answer, until its deadline.
async fn unary(
    channel: Channel,
    how: Arc<How>,
    method: Method,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let within = timeout::read(request.headers()).or(how.deadline).unwrap_or(method.deadline);
    let begun = Instant::now();
    let calls = again::call(channel, &how.retry, method.safe, request, begun + within);
    match tokio::time::timeout(within, calls).await {
        Ok(Err(error)) if find::<TimeoutExpired>(&*error).is_some() => Err(too_late(within)),
        Ok(answer) => answer,
        Err(_) => Err(too_late(within)),
    }
}

fn too_late(within: Duration) -> BoxError {
    let message = format!("no answer within {} seconds; a longer deadline may be given", within.as_secs_f64());
    Box::new(Status::deadline_exceeded(message))
}
