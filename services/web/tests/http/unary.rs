//! One message in JSON, and one answer.

use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use crate::{
    caller::{json, request, send, send_http2},
    echo::Echo,
};

#[tokio::test]
async fn a_message_of_every_kind_of_field_comes_back() {
    let address = Echo::default().serve(&[]).await;
    let said = json!({
        "text": "é\n", "data": "AAEC/w==", "number": "9007199254740993", "mood": "MOOD_GOOD", "left": "l",
        "more": [{ "right": -1 }, {}], "weights": { "a": 0.5, "b": "NaN" }, "at": "2026-01-02T03:04:05.500Z",
        "named": { "x": { "text": "in a map" } }, "wait": 1
    });
    let answer = json(address, "Say", said.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"), "{answer:?}");
    assert_eq!(answer.json(), said);
    let request = request("Say", "application/json; charset=utf-8", Full::from(said.to_string()));
    assert_eq!(send_http2(address, request).await.json(), said);
}

#[tokio::test]
async fn headers_are_metadata_both_ways() {
    let echo = Echo::default();
    let address = echo.serve(&[]).await;
    let mut request = request("Say", "application/json", Full::from("{}"));
    for (name, value) in [("authorization", "Bearer t"), ("x-asked", "a"), ("accept-encoding", "gzip"), ("te", "gzip")]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = send(address, request).await;
    assert_eq!(answer.header("x-answered"), "a");
    assert!(!answer.headers.contains_key("grpc-status"), "{answer:?}");
    let seen = echo.seen.lock().unwrap().pop().unwrap();
    for (name, value) in [("authorization", "Bearer t"), ("te", "trailers"), ("content-type", "application/grpc")] {
        assert_eq!(seen[name], value);
    }
    for gone in ["host", "content-length", "accept-encoding", "connection"] {
        assert!(!seen.contains_key(gone), "{gone}: {seen:?}");
    }
}

#[tokio::test]
async fn errors_have_their_code_and_details() {
    let address = Echo::default().serve(&[]).await;
    let codes = [
        (1, 499, "canceled"),
        (2, 500, "unknown"),
        (3, 400, "invalid_argument"),
        (4, 504, "deadline_exceeded"),
        (5, 404, "not_found"),
        (6, 409, "already_exists"),
        (7, 403, "permission_denied"),
        (8, 429, "resource_exhausted"),
        (9, 400, "failed_precondition"),
        (10, 409, "aborted"),
        (11, 400, "out_of_range"),
        (12, 501, "unimplemented"),
        (13, 500, "internal"),
        (14, 503, "unavailable"),
        (15, 500, "data_loss"),
        (16, 401, "unauthenticated"),
    ];
    for (code, http, name) in codes {
        let answer = json(address, "Say", json!({ "fail": code, "text": "nö" }).to_string()).await;
        assert_eq!(answer.error(), (http, name.to_owned(), "nö".to_owned()));
        assert_eq!(answer.header("x-failed"), "yes");
        let detail = &answer.json()["details"][0];
        assert_eq!(detail["type"], "google.rpc.BadRequest");
        assert_eq!(detail["debug"]["fieldViolations"][0]["field"], "text");
        assert!(detail["value"].as_str().is_some_and(|value| !value.contains('=')), "{detail}");
    }
}

#[tokio::test]
async fn the_caller_waits_no_longer_than_it_says() {
    let echo = Echo::default();
    let address = echo.serve(&[]).await;
    for (name, value, told) in [("connect-timeout-ms", "100", "100m"), ("grpc-timeout", "100m", "100m")] {
        for version in ["1.1", "2"] {
            let mut request = request("Say", "application/json", Full::from("{\"wait\":10000}"));
            request.headers_mut().insert(name, value.parse().unwrap());
            let begun = Instant::now();
            let answer = if version == "2" { send_http2(address, request).await } else { send(address, request).await };
            let (http, code, message) = answer.error();
            assert_eq!((http, code.as_str()), (504, "deadline_exceeded"), "{message}");
            assert!(begun.elapsed().as_secs() < 5, "{name} over {version}");
            assert_eq!(echo.seen.lock().unwrap().pop().unwrap()["grpc-timeout"], told);
        }
    }
    let mut request = request("Say", "application/json", Full::from("{}"));
    request.headers_mut().insert("connect-timeout-ms", "soon".parse().unwrap());
    let (http, _, message) = send(address, request).await.error();
    assert!(http == 400 && message.contains("connect-timeout-ms"), "{message}");
}

#[tokio::test]
async fn what_changes_nothing_is_asked_by_get() {
    let address = Echo::default().serve(&[]).await;
    let get = |query: &str| {
        let uri = format!("/test.v1.EchoService/Look{query}");
        Request::get(uri).header("host", "localhost").body(Full::<Bytes>::default()).unwrap()
    };
    assert_eq!(send(address, get("")).await.json(), json!({}));
    let answer = send(address, get("?connect=v1&encoding=json&message=%7B%22text%22%3A%22a%20b%22%7D")).await;
    assert_eq!(answer.json(), json!({ "text": "a b" }));
    assert_eq!(send(address, get("?base64=1&message=eyJudW1iZXIiOjF9")).await.json(), json!({ "number": "1" }));
    assert_eq!(send(address, get("?message=%7B")).await.status, 400);
    assert_eq!(send(address, get("?name=x")).await.error().0, 400);
    assert_eq!(json(address, "Look", "{\"text\":\"by post\"}").await.json(), json!({ "text": "by post" }));
}

#[tokio::test]
async fn all_methods_are_listed() {
    let address = Echo::default().serve(&[]).await;
    let request = Request::get("/").header("host", "localhost").body(Full::<Bytes>::default()).unwrap();
    let list = send(address, request).await.json();
    assert_eq!(list["methods"].as_array().map(Vec::len), Some(5), "{list}");
    let chat = &list["methods"][0];
    assert_eq!(chat["path"], "/test.v1.EchoService/Chat");
    assert_eq!(chat["takes"], json!({ "message": "test.v1.Said", "stream": true }));
}
