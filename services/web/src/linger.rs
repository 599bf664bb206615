//! Requests over HTTP/1.1 that are answered before they have come whole.
//!
//! A connection that is closed while its peer still sends is reset, and the answer may be lost with it. So what is still to
//! come is read for a moment, and thrown away.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{runtime::Handle, time::timeout};
use tonic::{Status, body::Body};

/// How long what is still to come is read.
const MOMENT: Duration = Duration::from_secs(2);

/// The request, whose body is read to its end for a moment when it is dropped before.
pub(crate) fn lingering(request: Request<Body>) -> Request<Body> {
    if request.version() == Version::HTTP_2 || request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Lingering(Some(body))))
}

/// A body that is read on when it is dropped; `None` once it has ended.
struct Lingering(Option<Body>);

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime the connection is gone too.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(MOMENT, async move { while let Some(Ok(_)) = body.frame().await {} }));
        }
    }
}
