//! A caller over HTTP/1.1 and over HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{body::Body, transport::Endpoint};
use tower::ServiceExt;

/// An answer that has come whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of the body, as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code and the message of an error.
    pub fn error(&self) -> (u16, String, String) {
        let error = self.json();
        let text = |name: &str| error[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned();
        (self.status.as_u16(), text("code"), text("message"))
    }
}

/// A request to a method of the service.
pub fn request<B>(method: &str, kind: &str, body: B) -> Request<B> {
    let builder = Request::post(format!("/test.v1.EchoService/{method}")).header("host", "localhost");
    builder.header("content-type", kind).body(body).unwrap()
}

/// A body whose chunks are sent as they are given.
pub fn chunks() -> (tokio::sync::mpsc::Sender<&'static str>, Body) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let frames =
        ReceiverStream::new(receiver).map(|text: &str| Ok::<_, tonic::Status>(http_body::Frame::data(text.into())));
    (sender, Body::new(StreamBody::new(frames)))
}

/// Send it over HTTP/1.1, and wait for the headers of the answer.
pub async fn begin<B>(address: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request.map(Body::new)).await.unwrap()
}

/// Send it over HTTP/1.1.
pub async fn send<B>(address: SocketAddr, request: Request<B>) -> Answer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    whole(begin(address, request).await).await
}

/// Send it over HTTP/2.
pub async fn send_http2(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    whole(channel.oneshot(request.map(Body::new)).await.unwrap()).await
}

async fn whole<B>(response: Response<B>) -> Answer
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Post a document, or lines.
pub async fn post(address: SocketAddr, method: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
    send(address, request(method, kind, Full::new(body.into()))).await
}

/// Post a document.
pub async fn json(address: SocketAddr, method: &str, body: impl Into<Bytes>) -> Answer {
    post(address, method, "application/json", body).await
}
