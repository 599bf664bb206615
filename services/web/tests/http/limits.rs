//! Bodies that are too large, and callers that are too slow.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{Full, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    caller::{json, post, request, send, send_http2},
    echo::{Echo, LIMIT},
};

/// Soon after the 30 seconds that a caller is waited for.
const SOON_AFTER: Duration = Duration::from_secs(45);

/// A document of so many bytes.
fn document(bytes: usize) -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11))
}

#[tokio::test]
async fn a_document_is_bounded_before_it_is_kept() {
    let address = Echo::default().serve(&[]).await;
    assert_eq!(json(address, "Say", document(LIMIT)).await.status, 200);
    let (http, code, message) = json(address, "Say", document(LIMIT + 1)).await.error();
    assert_eq!((http, code.as_str()), (413, "resource_exhausted"), "{message}");
    assert!(message.contains("65536 are accepted"), "{message}");
    let answer = send_http2(address, request("Say", "application/json", Full::from(document(1 << 20)))).await;
    assert_eq!(answer.status, 413);
    // Without a length, for ever: it must end by itself.
    let endless =
        stream::repeat_with(|| Ok::<_, tonic::Status>(http_body::Frame::data(Bytes::from_static(&[b' '; 8192]))));
    let answer = tokio::time::timeout(
        Duration::from_secs(10),
        send(address, request("Say", "application/json", StreamBody::new(endless))),
    );
    assert_eq!(answer.await.unwrap().status, 413);
}

#[tokio::test]
async fn each_line_is_bounded_and_their_number_is_not() {
    let address = Echo::default().serve(&[]).await;
    let lines = format!("{{}}{}\n", " ".repeat(1000)).repeat(500);
    assert_eq!(post(address, "Gather", "application/x-ndjson", lines).await.json()["number"], "500");
    for body in [document(LIMIT + 1), format!("{{}}\n{}\n", document(LIMIT + 1)), " ".repeat(1 << 20)] {
        let (http, _, message) = post(address, "Gather", "application/x-ndjson", body).await.error();
        assert_eq!(http, 413, "{message}");
    }
}

#[tokio::test]
async fn deep_json_is_refused() {
    let address = Echo::default().serve(&[]).await;
    let deep = format!("{}{}{}", "{\"more\":[".repeat(5000), "", "]}".repeat(5000));
    let (http, _, message) = json(address, "Say", deep).await.error();
    assert!(http == 400 && message.contains("recursion limit"), "{message}");
}

#[tokio::test]
async fn who_does_not_finish_its_headers_is_cut_off() {
    let address = Echo::default().serve(&[]).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /test.v1.EchoService/Say HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON_AFTER, slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is open still");
}

#[tokio::test]
async fn who_does_not_finish_its_message_is_told() {
    let address = Echo::default().serve(&[]).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = b"POST /test.v1.EchoService/Say HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    slow.write_all(head).await.unwrap();
    let mut answer = [0; 1024];
    let length = tokio::time::timeout(SOON_AFTER, slow.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("within 30 s"), "{answer}");
}
