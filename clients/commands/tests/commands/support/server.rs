//! A real gRPC server of the contract, with reflection.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use graft_commands::codec::DynamicCodec;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, NamedService, StreamingService},
    transport::{Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::{contract, set};

type Answers = Pin<Box<dyn Stream<Item = Result<DynamicMessage, Status>> + Send>>;

/// A server that runs until this is dropped.
pub struct Running {
    pub url: String,
    _stop: oneshot::Sender<()>,
}

/// Start one.
pub async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let reflection =
        tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(set()).build_v1().unwrap();
    let serving = Server::builder()
        .add_service(Echo)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped.map(|_| ()));
    tokio::spawn(serving);
    Running { url, _stop: stop }
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.v1.EchoService";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let name = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let service = contract().service_of("echo").unwrap();
        let method = service.methods().find(|method| method.name() == name).unwrap();
        let mut grpc = Grpc::new(DynamicCodec::new(method.input()));
        async move { Ok(grpc.streaming(Handler(method), request).await) }.boxed()
    }
}

struct Handler(MethodDescriptor);

impl StreamingService<DynamicMessage> for Handler {
    type Response = DynamicMessage;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<DynamicMessage>>) -> Self::Future {
        answers(self.0.clone(), request).boxed()
    }
}

async fn answers(
    method: MethodDescriptor,
    request: Request<Streaming<DynamicMessage>>,
) -> Result<Response<Answers>, Status> {
    let metadata = request.metadata().clone();
    let mut messages = request.into_inner();
    let answers: Answers = match method.name() {
        "Converse" | "Upload" => Box::pin(messages),
        "Collect" => {
            let all: Vec<_> = messages.collect().await;
            let all = all.into_iter().map(|message| message.map(Value::Message)).collect::<Result<Vec<_>, _>>()?;
            one(&method, &[("all", Value::List(all))])
        }
        "Store" => {
            let (mut count, mut with_options, mut data) = (0, 0, Vec::new());
            while let Some(message) = messages.next().await.transpose()? {
                count += 1;
                with_options += u32::from(message.has_field_by_name("options"));
                data.extend_from_slice(message.get_field_by_name("data").unwrap().as_bytes().unwrap());
            }
            let numbers = [("messages", Value::U32(count)), ("with_options", Value::U32(with_options))];
            one(&method, &[&numbers[..], &[("data", Value::Bytes(data.into()))]].concat())
        }
        name => {
            let asked = messages.next().await.ok_or_else(|| Status::invalid_argument("no message"))??;
            match name {
                "Echo" => {
                    if metadata.contains_key("slowly") {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    let mut asked = asked;
                    if let Some(said) = metadata.get("say") {
                        asked.set_field_by_name("a_string", Value::String(said.to_str().unwrap().to_owned()));
                    }
                    Box::pin(stream::iter([Ok(asked)]))
                }
                "Repeat" => {
                    let count = asked.get_field_by_name("count").unwrap().as_u32().unwrap() as usize;
                    Box::pin(stream::iter(vec![Ok(asked); count]))
                }
                "Fetch" => {
                    let count = asked.get_field_by_name("pieces").unwrap().as_u32().unwrap();
                    Box::pin(stream::iter((0..count).map(move |place| Ok(piece(&method, place)))))
                }
                _ => return Err(refusal()),
            }
        }
    };
    Ok(Response::new(answers))
}

fn one(method: &MethodDescriptor, fields: &[(&str, Value)]) -> Answers {
    let mut answer = DynamicMessage::new(method.output());
    for (name, value) in fields {
        answer.set_field_by_name(name, value.clone());
    }
    let only: Ready<_> = ready(Ok(answer));
    Box::pin(stream::once(only))
}

fn piece(method: &MethodDescriptor, place: u32) -> DynamicMessage {
    let mut piece = DynamicMessage::new(method.output());
    piece.set_field_by_name("data", Value::Bytes(format!("piece {place};").into()));
    if place == 0 {
        let options = piece.get_field_by_name_mut("options").unwrap().as_message_mut().unwrap();
        options.set_field_by_name("target", Value::String("first".to_owned()));
    }
    piece
}

fn refusal() -> Status {
    let mut details = ErrorDetails::with_bad_request_violation("options.l2", "-1; more than 0 is accepted");
    details.set_retry_info(Some(Duration::from_secs(2)));
    Status::with_error_details(Code::InvalidArgument, "a bad request", details)
}
