//! Web pages: which may call, and how they call in grpc-web.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::Full;
use prost::Message;

use crate::{
    caller::{Answer, post, request, send, send_http2},
    echo::{Echo, LIMIT, Said},
};

const PAGE: &str = "https://page.example";

async fn from_page(address: std::net::SocketAddr, origin: &str) -> Answer {
    let mut request = request("Say", "application/json", Full::from("{}"));
    request.headers_mut().insert("origin", origin.parse().unwrap());
    send(address, request).await
}

async fn preflight(address: std::net::SocketAddr, origin: &str) -> Answer {
    let request = Request::options("/test.v1.EchoService/Say")
        .header("host", "localhost")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-grpc-web")
        .body(Full::<Bytes>::default());
    send(address, request.unwrap()).await
}

#[tokio::test]
async fn pages_of_named_origins_may_call() {
    let address = Echo::default().serve(&["http://other.example", PAGE]).await;
    let answer = from_page(address, PAGE).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, PAGE));
    assert!(answer.header("access-control-expose-headers").contains("grpc-status"), "{answer:?}");
    let answer = preflight(address, PAGE).await;
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type,x-grpc-web");
    assert_eq!(answer.header("access-control-max-age"), "3600");
    for answer in [from_page(address, "https://evil.example").await, preflight(address, "https://evil.example").await] {
        let (http, code, message) = answer.error();
        assert_eq!((http, code.as_str()), (403, "permission_denied"));
        assert!(message.contains("https://evil.example") && message.contains("--cors-origin"), "{message}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn any_page_may_call_only_if_so_told() {
    let any = Echo::default().serve(&["*"]).await;
    for answer in [from_page(any, PAGE).await, preflight(any, PAGE).await, from_page(any, "null").await] {
        assert!(answer.status.is_success() && answer.header("access-control-allow-origin") == "*", "{answer:?}");
    }
    let echo = Echo::default();
    let none = echo.serve(&[]).await;
    assert_eq!(from_page(none, PAGE).await.status, 403);
    // A page whose name leads to this machine is of the same origin to the browser, and to us another.
    assert_eq!(from_page(none, "http://localhost").await.status, 403);
    assert_eq!(preflight(none, PAGE).await.status, 403);
    assert!(echo.seen.lock().unwrap().is_empty());
}

fn framed(said: &Said) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(said.encoded_len() as u32);
    said.encode(&mut frame).unwrap();
    frame.freeze()
}

/// The messages of an answer, and its trailers.
fn unframed(mut body: &[u8]) -> (Vec<Said>, String) {
    let mut all = Vec::new();
    loop {
        let (head, rest) = body.split_first_chunk::<5>().expect("trailers come last");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if head[0] == 0x80 {
            assert_eq!(rest.len(), length);
            return (all, String::from_utf8(rest.to_vec()).unwrap());
        }
        all.push(Said::decode(&rest[..length]).unwrap());
        body = &rest[length..];
    }
}

#[tokio::test]
async fn grpc_web_is_answered_in_kind() {
    let address = Echo::default().serve(&[PAGE]).await;
    let said = Said { text: "é".into(), number: 3, ..Said::default() };
    for kind in ["application/grpc-web", "application/grpc-web+proto", "Application/gRPC-Web+proto; charset=utf-8"] {
        let answer = post(address, "Say", kind, framed(&said)).await;
        assert_eq!(answer.header("content-type"), "application/grpc-web+proto", "{answer:?}");
        let (all, trailers) = unframed(&answer.body);
        assert_eq!(all, std::slice::from_ref(&said));
        assert!(trailers.contains("grpc-status:0"), "{trailers}");
    }
    let text = BASE64_STANDARD.encode(framed(&said));
    let answer = send_http2(address, request("Count", "application/grpc-web-text", Full::from(text))).await;
    assert_eq!(answer.header("content-type"), "application/grpc-web-text+proto");
    // Each piece is base64 of its own, so any four characters are.
    let decoded: Vec<u8> = answer.body.chunks(4).flat_map(|four| BASE64_STANDARD.decode(four).unwrap()).collect();
    let (all, trailers) = unframed(&decoded);
    assert_eq!(all.iter().map(|said| said.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
}

#[tokio::test]
async fn grpc_web_says_what_failed() {
    let address = Echo::default().serve(&[PAGE]).await;
    let failing = |number| framed(&Said { text: "gone".into(), number, fail: 5, ..Said::default() });
    let (all, trailers) = unframed(&post(address, "Count", "application/grpc-web", failing(2)).await.body);
    assert!(all.len() == 2 && trailers.contains("grpc-status:5\r\n"), "{trailers}");
    let answer = post(address, "Count", "application/grpc-web", failing(-1)).await;
    assert_eq!((answer.header("grpc-status"), answer.header("grpc-message")), ("5", "gone"));
    let large = framed(&Said { text: "x".repeat(LIMIT + 1), ..Said::default() });
    let answer = post(address, "Say", "application/grpc-web", large).await;
    assert_ne!(answer.header("grpc-status"), "0");
    let answer = post(address, "Say", "application/grpc-web-text", "%%%%").await;
    assert_eq!(answer.header("grpc-status"), "13", "{answer:?}");
    let mut late = request("Say", "application/grpc-web", Full::new(framed(&Said { wait: 10_000, ..Said::default() })));
    late.headers_mut().insert("grpc-timeout", "100m".parse().unwrap());
    late.headers_mut().insert("origin", PAGE.parse().unwrap());
    let answer = send(address, late).await;
    assert_eq!((answer.header("grpc-status"), answer.header("access-control-allow-origin")), ("4", PAGE));
}
