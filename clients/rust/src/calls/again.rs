//! A call, made again while it fails in a way that may pass.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full};
use prost::bytes::Bytes;
use tonic::{Code, ConnectError, Status, TimeoutExpired, body::Body, transport::Channel};
use tonic_types::StatusExt;
use tower::{Service, ServiceExt};

use super::{BoxError, timeout};
use crate::retry::{Retry, random};

/// What the service is told to have beyond what is left, so that it is this side that says that time is over.
const GRACE: Duration = Duration::from_millis(100);

/// Make a call until it is answered, or `retry` gives up, or no time is left before `ends`. If it is `safe`, what was
/// UNAVAILABLE is made again; else only what never left, for want of a connection.
pub async fn call(
    mut channel: Channel,
    retry: &Retry,
    safe: bool,
    request: Request<Body>,
    ends: Instant,
) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    // One message, in memory already.
    let body = body.collect().await?.to_bytes();
    let mut attempt = 1;
    loop {
        let request = copy(&parts, &body, ends.saturating_duration_since(Instant::now()));
        let answer = match ServiceExt::<Request<Body>>::ready(&mut channel).await {
            Ok(channel) => channel.call(request).await,
            Err(error) => Err(error),
        };
        let answer = answer.map_err(BoxError::from);
        let Some(failure) = failure(&answer) else { return answer };
        if !safe && failure.left {
            return answer;
        }
        match retry.pause(attempt, failure.asked, random()) {
            Some(pause) if Instant::now() + pause < ends => tokio::time::sleep(pause).await,
            _ => return answer,
        }
        attempt += 1;
    }
}

fn copy(parts: &Parts, body: &Bytes, left: Duration) -> Request<Body> {
    let mut request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
    request.headers_mut().insert(timeout::HEADER, timeout::value(left + GRACE));
    request
}

/// A failure that may pass.
struct Failure {
    /// Whether the request may have reached the service.
    left: bool,
    /// How long the service asks to wait.
    asked: Option<Duration>,
}

fn failure(answer: &Result<Response<Body>, BoxError>) -> Option<Failure> {
    match answer {
        // A call that is refused is answered by headers alone.
        Ok(answer) => {
            let status = Status::from_header_map(answer.headers()).filter(|s| s.code() == Code::Unavailable)?;
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Some(Failure { left: true, asked })
        }
        Err(error) if find::<TimeoutExpired>(&**error).is_some() => None,
        Err(error) => Some(Failure { left: find::<ConnectError>(&**error).is_none(), asked: None }),
    }
}

/// The cause of this type, however deep.
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
