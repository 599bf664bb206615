//! Streams of the Connect protocol.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use crate::{
    caller::{Answer, post},
    echo::Echo,
};

const KIND: &str = "application/connect+json";

fn envelope(flags: u8, json: &str) -> Bytes {
    let mut envelope = BytesMut::new();
    envelope.put_u8(flags);
    envelope.put_u32(json.len() as u32);
    envelope.put_slice(json.as_bytes());
    envelope.freeze()
}

fn envelopes(answer: &Answer) -> Vec<(u8, Value)> {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, KIND), "{answer:?}");
    let (mut rest, mut all) = (&answer.body[..], Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        all.push((head[0], serde_json::from_slice(&after[..length]).unwrap()));
        rest = &after[length..];
    }
    assert!(rest.is_empty());
    all
}

#[tokio::test]
async fn each_message_has_its_envelope_and_the_end_has_one() {
    let address = Echo::default().serve(&[]).await;
    let body = [envelope(0, "{\"text\":\"a\"}"), envelope(0, "{}")].concat();
    let answer = post(address, "Chat", KIND, body.clone()).await;
    assert_eq!(envelopes(&answer), [(0, json!({ "text": "a" })), (0, json!({})), (2, json!({}))]);
    let answer = post(address, "Gather", KIND, body).await;
    assert_eq!(envelopes(&answer), [(0, json!({ "text": "a", "number": "2" })), (2, json!({}))]);
    let answer = post(address, "Count", KIND, envelope(0, "{\"number\":1}")).await;
    assert_eq!(envelopes(&answer), [(0, json!({})), (2, json!({}))]);
}

#[tokio::test]
async fn the_end_says_what_failed() {
    let address = Echo::default().serve(&[]).await;
    for (method, body, messages, told) in [
        ("Count", envelope(0, "{\"number\":1,\"fail\":5,\"text\":\"gone\"}"), 1, "gone"),
        ("Count", envelope(0, "{\"number\":-1,\"fail\":5,\"text\":\"gone\"}"), 0, "gone"),
        ("Count", [envelope(0, "{}"), envelope(0, "{}")].concat().into(), 0, "exactly one message"),
        ("Count", Bytes::new(), 0, "exactly one message"),
        ("Chat", [envelope(0, "{}"), envelope(1, "{}")].concat().into(), 1, "flags 1"),
        ("Chat", envelope(0, "{}").slice(..6), 0, "within an envelope"),
        ("Chat", Bytes::from_static(&[0, 255, 255, 255, 255]), 0, "65536 are accepted"),
    ] {
        let all = envelopes(&post(address, method, KIND, body).await);
        let (flags, end) = &all[all.len() - 1];
        assert_eq!((*flags, all.len()), (2, messages + 1), "{all:?}");
        assert!(end["error"]["message"].as_str().unwrap().contains(told), "{end}");
        if told == "gone" {
            assert_eq!(end["metadata"], json!({ "x-failed": ["yes"] }));
        }
    }
}
