//! Calls in grpc-web: gRPC with its trailers at the end of the body, in binary or in base64.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, Version,
    header::{ACCEPT, CONTENT_TYPE},
};
use tonic::{Status, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::{deadline::Deadline, form::essence};

/// The content type of a request in grpc-web, as `tonic-web` knows it: without parameters, and in small letters.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<HeaderValue> {
    let kind = essence(headers)?.to_ascii_lowercase();
    let known = [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ];
    known.into_iter().find(|known| *known == kind).map(HeaderValue::from_static)
}

/// Call `inner`, and answer as it was asked: the content type is `kind`.
pub(crate) async fn call<S, R>(
    inner: S,
    kind: HeaderValue,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let deadline = Deadline::of(request.headers());
    // What is asked in base64 is answered in base64, whatever else would be taken.
    request.headers_mut().insert(ACCEPT, kind.clone());
    request.headers_mut().insert(CONTENT_TYPE, kind);
    *request.version_mut() = Version::HTTP_2;
    let grpc = service_fn(move |request: Request<Body>| {
        let (inner, deadline) = (inner.clone(), deadline.clone());
        async move {
            let answered = async {
                Ok::<_, Overdue<S::Error>>(inner.oneshot(request).await.map_err(Overdue::Inner)?.map(Body::new))
            };
            let answer = match deadline {
                Ok(deadline) => deadline.within(answered).await,
                Err(refusal) => Err(Overdue::Status(refusal.status)),
            };
            match answer {
                Ok(response) => Ok(response),
                Err(Overdue::Status(status)) => Ok(status.into_http()),
                Err(Overdue::Inner(error)) => Err(error),
            }
        }
    });
    GrpcWebLayer::new().layer(grpc).oneshot(request).await
}

/// Why there is no answer of the service.
enum Overdue<E> {
    /// There is this one instead.
    Status(Status),
    /// The service failed.
    Inner(E),
}

impl<E> From<Status> for Overdue<E> {
    fn from(status: Status) -> Overdue<E> {
        Overdue::Status(status)
    }
}
