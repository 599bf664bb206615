//! Requests that do not get as far as the service, or whose messages are wrong.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::{
    caller::{Answer, json, post, request, send, send_http2},
    echo::Echo,
};

async fn with_method(address: std::net::SocketAddr, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    send(address, request.header("content-type", "application/json").body(Full::<Bytes>::default()).unwrap()).await
}

#[tokio::test]
async fn what_is_not_served_is_not_found() {
    let address = Echo::default().serve(&[]).await;
    for path in
        ["/test.v1.EchoService/Shout", "/test.v1.HiddenService/Say", "/test.v1.EchoService", "/favicon.ico", "//"]
    {
        let (http, code, message) = with_method(address, "POST", path).await.error();
        assert_eq!((http, code.as_str()), (404, "unimplemented"), "{path}: {message}");
    }
}

#[tokio::test]
async fn another_http_method_is_told_which_are_allowed() {
    let address = Echo::default().serve(&[]).await;
    for (method, path, allowed) in [
        ("GET", "/test.v1.EchoService/Say", "POST"),
        ("DELETE", "/test.v1.EchoService/Look", "GET, POST"),
        ("OPTIONS", "/test.v1.EchoService/Say", "POST"),
        ("POST", "/", "GET"),
    ] {
        let answer = with_method(address, method, path).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allowed), "{method} {path}");
        assert!(answer.error().2.contains(allowed), "{answer:?}");
    }
}

#[tokio::test]
async fn another_content_type_is_told_which_are_accepted() {
    let address = Echo::default().serve(&[]).await;
    let unary = "application/json, application/grpc-web, application/grpc-web-text, application/grpc (over HTTP/2)";
    for (method, kind, accepted) in [
        ("Say", "text/plain", unary),
        ("Say", "application/x-ndjson", unary),
        ("Say", "application/connect+json", unary),
        ("Say", "application/grpc", unary),
        ("Say", "application/grpc-web+json", unary),
        ("Chat", "application/json", "application/x-ndjson, application/connect+json, "),
        ("Gather", "application/x-www-form-urlencoded", "application/x-ndjson, application/connect+json, "),
    ] {
        let answer = post(address, method, kind, "{}").await;
        let (http, _, message) = answer.error();
        assert!(http == 415 && message.contains(accepted) && message.contains(kind), "{method} {kind}: {message}");
        assert!(answer.header("accept-post").contains(accepted), "{answer:?}");
    }
    let mut compressed = request("Say", "application/json", Full::from("{}"));
    compressed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let answer = send(address, compressed).await;
    assert_eq!((answer.status.as_u16(), answer.header("accept-encoding")), (415, "identity"));
    let mut other = request("Say", "application/json", Full::from("{}"));
    other.headers_mut().insert("connect-protocol-version", "2".parse().unwrap());
    assert_eq!(send_http2(address, other).await.error().0, 400);
}

#[tokio::test]
async fn what_is_wrong_in_json_is_named_with_its_place() {
    let echo = Echo::default();
    let address = echo.serve(&[]).await;
    for (body, parts) in [
        ("", &["test.v1.Said", "line 1, column 0"][..]),
        ("{\"text\":", &["text", "EOF", "line 1, column 8"]),
        ("[]", &["test.v1.Said", "expected a map"]),
        ("{} {}", &["trailing characters", "column 4"]),
        ("{\"txt\":\"a\"}", &["txt: unrecognized field name 'txt'", "accepted are text, data, number, mood"]),
        ("{\n  \"more\": [{}, {\"nmber\": 1}]}", &["more[1].nmber: ", "accepted are text", "line 2"]),
        (
            "{\"more\":[{\"mood\":\"MOOD_GOD\"}]}",
            &["more[0].mood: ", "accepted are MOOD_UNSPECIFIED, MOOD_GOOD, MOOD_BAD"],
        ),
        ("{\"named\":{\"k\":{\"moood\":1}}}", &["named.k.moood: ", "accepted are text"]),
        ("{\"number\":\"many\"}", &["number: invalid digit"]),
        ("{\"number\":1.5}", &["number: ", "column"]),
        ("{\"data\":\"%%\"}", &["data: invalid base64"]),
        ("{\"at\":\"yesterday\"}", &["at: "]),
        ("{\"left\":\"a\",\"right\":1}", &["multiple fields provided for oneof 'choice'"]),
        ("{\"text\":\"\u{fffd}", &["text", "EOF"]),
    ] {
        let (http, code, message) = json(address, "Say", body).await.error();
        assert_eq!((http, code.as_str()), (400, "invalid_argument"), "{body}: {message}");
        for part in parts {
            assert!(message.contains(part), "{body}: {message} lacks {part}");
        }
    }
    let answer = json(address, "Say", "{\"more\":[{\"number\":true}]}").await;
    assert_eq!(answer.json()["details"][0]["debug"]["fieldViolations"][0]["field"], "more[0].number");
    assert_eq!(echo.taken.load(Ordering::SeqCst), 0, "the service is not asked");
    assert!(!echo.seen.lock().unwrap().is_empty(), "but what counts calls sees them");
}

#[tokio::test]
async fn what_is_told_back_is_short() {
    let address = Echo::default().serve(&[]).await;
    let long = "x".repeat(60_000);
    for body in [format!("{{\"number\":\"{long}\"}}"), format!("{{\"{long}\":1}}"), format!("{{\"mood\":\"{long}\"}}")]
    {
        let (http, _, message) = json(address, "Say", body).await.error();
        assert!(http == 400 && message.len() < 600, "{}", message.len());
    }
}
