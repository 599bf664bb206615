//! gRPC goes through as it came.

use futures::stream;
use tonic::{Code, Request, client::Grpc, transport::Endpoint};
use tonic_prost::ProstCodec;

use crate::echo::{Echo, Said};

#[tokio::test]
async fn grpc_is_answered_as_without_the_layer() {
    let echo = Echo::default();
    let address = echo.serve(&["https://page.example"]).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = |method: &str| format!("/test.v1.EchoService/{method}").parse().unwrap();
    let codec = ProstCodec::<Said, Said>::default;
    let said = |text: &str| Said { text: text.into(), ..Said::default() };

    let mut request = Request::new(said("a"));
    request.metadata_mut().insert("x-asked", "b".parse().unwrap());
    // No browser speaks gRPC; a proxy that adds this header is none.
    request.metadata_mut().insert("origin", "https://other.example".parse().unwrap());
    let answer: tonic::Response<Said> = grpc.unary(request, path("Say"), codec()).await.unwrap();
    assert_eq!(answer.metadata().get("x-answered").unwrap(), "b");
    assert_eq!(answer.into_inner().text, "a");

    let messages = stream::iter([said("a"), said("b"), Said { fail: 6, ..said("c") }]);
    grpc.ready().await.unwrap();
    let mut answers = grpc.streaming(Request::new(messages), path("Chat"), codec()).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().text, "a");
    assert_eq!(answers.message().await.unwrap().unwrap().text, "b");
    let status = answers.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::AlreadyExists, "c"));
    assert_eq!(status.metadata().get("x-failed").unwrap(), "yes");
    grpc.ready().await.unwrap();
    let status = grpc.unary(Request::new(said("a")), path("Shout"), codec()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
