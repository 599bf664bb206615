//! A service that says what it is told, on a real server with the layer before it.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream, stream::BoxStream};
use graft_web::{Origin, WebLayer};
use http::HeaderMap;
use prost::Message;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, NamedService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Service, layer::layer_fn, service_fn, util::MapRequest};

/// The most bytes of a message.
pub const LIMIT: usize = 64 << 10;

/// The message of the service.
#[derive(Clone, PartialEq, Message)]
pub struct Said {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub number: i64,
    #[prost(int32, tag = "4")]
    pub mood: i32,
    #[prost(message, repeated, tag = "5")]
    pub more: Vec<Said>,
    #[prost(map = "string, double", tag = "6")]
    pub weights: HashMap<String, f64>,
    #[prost(oneof = "Choice", tags = "7, 8")]
    pub choice: Option<Choice>,
    #[prost(message, optional, tag = "9")]
    pub at: Option<prost_types::Timestamp>,
    #[prost(map = "string, message", tag = "10")]
    pub named: HashMap<String, Said>,
    #[prost(uint32, tag = "20")]
    pub fail: u32,
    #[prost(uint32, tag = "21")]
    pub wait: u32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Choice {
    #[prost(string, tag = "7")]
    Left(String),
    #[prost(int32, tag = "8")]
    Right(i32),
}

/// The service, with what it saw.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    /// The headers of each call, as they are within the layer.
    pub seen: Arc<Mutex<Vec<HeaderMap>>>,
    /// Messages that it took.
    pub taken: Arc<AtomicUsize>,
    /// What streams of messages broke off with.
    pub broken: Arc<Mutex<Vec<Code>>>,
    /// Answers that it gave.
    pub given: Arc<AtomicUsize>,
}

impl Echo {
    /// Serve it, and tell where.
    pub async fn serve(&self, origins: &[&str]) -> SocketAddr {
        let set = protox::compile(["echo.proto"], ["tests/http"]).unwrap().encode_to_vec();
        let origins: Vec<Origin> = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        let web = WebLayer::new(&[&set], &[Self::NAME], &origins, LIMIT).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = self.seen.clone();
        let look = move |request: http::Request<Body>| {
            assert_eq!((request.method(), request.version()), (&http::Method::POST, http::Version::HTTP_2));
            seen.lock().unwrap().push(request.headers().clone());
            request
        };
        let server = Server::builder()
            .accept_http1(true)
            .layer(web)
            .layer(layer_fn(move |inner| MapRequest::new(inner, look.clone())))
            .add_service(self.clone());
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        address
    }

    async fn say(self, request: Request<Said>) -> Result<Response<Said>, Status> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let asked = request.metadata().get("x-asked").cloned();
        let said = request.into_inner();
        tokio::time::sleep(Duration::from_millis(said.wait.into())).await;
        if said.fail > 0 {
            return Err(failure(&said));
        }
        let mut response = Response::new(said);
        if let Some(asked) = asked {
            response.metadata_mut().insert("x-answered", asked);
        }
        Ok(response)
    }

    async fn count(self, request: Request<Said>) -> Result<Response<BoxStream<'static, Result<Said, Status>>>, Status> {
        let said = request.into_inner();
        if said.number < 0 {
            return Err(failure(&said));
        }
        let end = (said.fail > 0).then(|| Err(failure(&said)));
        let answers = stream::iter(0..said.number).then(move |number| {
            let (said, given) = (said.clone(), self.given.clone());
            async move {
                tokio::time::sleep(Duration::from_millis(said.wait.into())).await;
                given.fetch_add(1, Ordering::SeqCst);
                Ok(Said { number, fail: 0, wait: 0, ..said })
            }
        });
        Ok(Response::new(answers.chain(stream::iter(end)).boxed()))
    }

    async fn gather(self, request: Request<Streaming<Said>>) -> Result<Response<Said>, Status> {
        let mut messages = request.into_inner();
        let mut all = Said::default();
        let broken = |status: &Status| self.broken.lock().unwrap().push(status.code());
        while let Some(said) = messages.message().await.inspect_err(broken)? {
            self.taken.fetch_add(1, Ordering::SeqCst);
            all.text += &said.text;
            all.number += 1;
        }
        Ok(Response::new(all))
    }

    async fn chat(
        self,
        request: Request<Streaming<Said>>,
    ) -> Result<Response<BoxStream<'static, Result<Said, Status>>>, Status> {
        let answers = request.into_inner().map(move |said| {
            let said = said?;
            self.taken.fetch_add(1, Ordering::SeqCst);
            if said.fail > 0 { Err(failure(&said)) } else { Ok(said) }
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn failure(said: &Said) -> Status {
    let details = ErrorDetails::with_bad_request_violation("text", "is not liked");
    let mut status = Status::with_error_details(Code::from_i32(said.fail.cast_signed()), said.text.clone(), details);
    status.metadata_mut().insert("x-failed", "yes".parse().unwrap());
    status
}

impl NamedService for Echo {
    const NAME: &'static str = "test.v1.EchoService";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Said, Said>::default()).max_decoding_message_size(LIMIT);
            Ok(match request.uri().path() {
                "/test.v1.EchoService/Say" | "/test.v1.EchoService/Look" => {
                    grpc.unary(service_fn(move |said| echo.clone().say(said)), request).await
                }
                "/test.v1.EchoService/Count" => {
                    grpc.server_streaming(service_fn(move |said| echo.clone().count(said)), request).await
                }
                "/test.v1.EchoService/Gather" => {
                    grpc.client_streaming(service_fn(move |said| echo.clone().gather(said)), request).await
                }
                "/test.v1.EchoService/Chat" => {
                    grpc.streaming(service_fn(move |said| echo.clone().chat(said)), request).await
                }
                other => Status::unimplemented(other.to_owned()).into_http(),
            })
        })
    }
}
