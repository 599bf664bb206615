//! Streams in lines of JSON.

use std::{sync::atomic::Ordering, time::Duration};

use http_body_util::{BodyExt, Full};
use serde_json::json;
use tonic::Code;

use crate::{
    caller::{Answer, begin, chunks, json, post, request, send_http2},
    echo::Echo,
};

const LINES: &str = "application/x-ndjson";

#[tokio::test]
async fn one_message_is_answered_with_lines() {
    let address = Echo::default().serve(&[]).await;
    for kind in ["application/json", LINES] {
        let answer = post(address, "Count", kind, "{\"number\":3,\"text\":\"a\"}\n").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, LINES), "{answer:?}");
        let number = |number: &str| json!({ "number": number, "text": "a" });
        assert_eq!(answer.lines(), [json!({ "text": "a" }), number("1"), number("2")]);
    }
    assert_eq!(json(address, "Count", "{}").await.body, "");
}

#[tokio::test]
async fn lines_are_answered_with_one_message() {
    let address = Echo::default().serve(&[]).await;
    let answer = post(address, "Gather", LINES, "{\"text\":\"a\"}\r\n\n  \n{\"text\":\"b\"}\n{\"text\":\"c\"}").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), json!({ "text": "abc", "number": "3" }));
    assert_eq!(post(address, "Gather", LINES, "").await.json(), json!({}));
}

#[tokio::test]
async fn each_line_is_answered_as_it_comes() {
    let address = Echo::default().serve(&[]).await;
    let (sender, body) = chunks();
    let mut answer = begin(address, request("Chat", LINES, body)).await.into_body();
    for (chunk, line) in
        [("{\"text\":\"a\"}\n", "{\"text\":\"a\"}\n"), ("{\"text\"", ""), (":\"b\"}\n{", "{\"text\":\"b\"}\n")]
    {
        sender.send(chunk).await.unwrap();
        if !line.is_empty() {
            let data = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(data, line);
        }
    }
    sender.send("}").await.unwrap();
    drop(sender);
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "{}\n");
}

#[tokio::test]
async fn the_last_line_says_what_failed() {
    let echo = Echo::default();
    let address = echo.serve(&[]).await;
    let told = |answer: &Answer, lines: usize, code: &str, message: &str| {
        let all = answer.lines();
        assert_eq!((answer.status.as_u16(), all.len()), (200, lines), "{all:?}");
        let error = &all[lines - 1]["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|told| told.contains(message)), "{error}");
    };
    let answer = json(address, "Count", "{\"number\":2,\"fail\":5,\"text\":\"gone\"}").await;
    told(&answer, 3, "not_found", "gone");
    assert_eq!(answer.lines()[2]["error"]["details"][0]["type"], "google.rpc.BadRequest");
    let answer = post(address, "Chat", LINES, "{}\n{\"fail\":9,\"text\":\"no\"}\n{}\n").await;
    told(&answer, 2, "failed_precondition", "no");
    let answer = post(address, "Chat", LINES, "{}\n\n{\"txt\":1}\n{}\n").await;
    told(&answer, 2, "invalid_argument", "line 3, column 6");
    // What fails before there is an answer has a code of HTTP.
    let answer = json(address, "Count", "{\"number\":-1,\"fail\":5,\"text\":\"gone\"}").await;
    assert_eq!(answer.error().0, 404);
    let (http, _, message) = post(address, "Gather", LINES, "{}\n{\"number\":\"x\"}\n").await.error();
    assert!(http == 400 && message.contains("number: ") && message.contains("line 2"), "{message}");
    assert_eq!(*echo.broken.lock().unwrap(), [Code::InvalidArgument], "the service is told what it is");
    assert_eq!(json(address, "Count", "{}{}").await.error().0, 400);
}

#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let address = Echo::default().serve(&[]).await;
    let mut request = request("Count", "application/json", Full::from("{\"number\":1000,\"wait\":20}"));
    request.headers_mut().insert("connect-timeout-ms", "300".parse().unwrap());
    let lines = send_http2(address, request).await.lines();
    assert!(lines.len() > 1 && lines.len() < 20, "{}", lines.len());
    assert_eq!(lines[lines.len() - 1]["error"]["code"], "deadline_exceeded");
}

#[tokio::test]
async fn no_more_is_taken_than_can_be_answered() {
    let echo = Echo::default();
    let address = echo.serve(&[]).await;
    let text = "x".repeat(50_000);
    let body = json!({ "number": 100_000, "text": text }).to_string();
    let mut answer = begin(address, request("Count", "application/json", Full::from(body))).await.into_body();
    let first = answer.frame().await.unwrap().unwrap();
    assert!(first.is_data());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let given = echo.given.load(Ordering::SeqCst);
    assert!(given < 1000, "{given} answers of 50 kB wait for who does not read them");
    drop(answer);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let gone = echo.given.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(echo.given.load(Ordering::SeqCst), gone, "nobody reads any more");
}
