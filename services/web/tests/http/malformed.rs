//! Whatever is sent, there is an answer with a status, and the server goes on.

use std::{net::SocketAddr, sync::OnceLock};

use bytes::Bytes;
use http_body_util::Full;
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    caller::{Answer, json, request, send, send_http2},
    echo::Echo,
};

const METHODS: [&str; 5] = ["Say", "Look", "Count", "Gather", "Chat"];
const KINDS: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "application/connect+json",
    "application/grpc-web",
    "application/grpc-web-text",
];

fn server() -> &'static (Runtime, SocketAddr) {
    static SERVER: OnceLock<(Runtime, SocketAddr)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let address = runtime.block_on(Echo::default().serve(&[]));
        (runtime, address)
    })
}

/// Ask, and ask again for something that is right.
fn ask(method: &str, kind: &str, body: Vec<u8>, http2: bool) -> Answer {
    let (runtime, address) = server();
    runtime.block_on(async {
        let request = request(method, kind, Full::new(Bytes::from(body)));
        let answer = if http2 { send_http2(*address, request).await } else { send(*address, request).await };
        assert_eq!(json(*address, "Say", "{\"text\":\"still here\"}").await.json()["text"], "still here");
        answer
    })
}

/// JSON that is a little like a message.
fn nearly() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "MOOD_GOOD",
            "AAEC",
            "2026-01-02T03:04:05Z",
            "9999-12-31T23:59:59.999999999Z",
            "1e400",
            "NaN"
        ])
        .prop_map(Value::from),
    ];
    let names = "text|data|number|mood|more|weights|left|right|at|named|wat|";
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn fine(answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!(matches!(status, 200 | 400 | 413 | 415), "{answer:?}");
    if status != 200 {
        prop_assert!(answer.json()["code"].is_string() && answer.json()["message"].is_string(), "{answer:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_answered(
        method in prop::sample::select(&METHODS[..]),
        kind in prop::sample::select(&KINDS[..]),
        body in prop::collection::vec(any::<u8>(), 0..200),
        http2 in any::<bool>(),
    ) {
        fine(&ask(method, kind, body, http2))?;
    }

    #[test]
    fn nearly_right_json_is_answered(method in prop::sample::select(vec!["Say", "Look", "Gather", "Chat"]), value in nearly(), cut in 0..200usize) {
        let kind = if matches!(method, "Gather" | "Chat") { KINDS[1] } else { KINDS[0] };
        let mut body = value.to_string().into_bytes();
        if cut < 50 {
            body.truncate(cut);
        }
        fine(&ask(method, kind, body, false))?;
    }

    #[test]
    fn envelopes_of_any_kind_are_answered(
        method in prop::sample::select(&METHODS[2..]),
        envelopes in prop::collection::vec((0..4u8, 0..30u32, "\\{\\}|\\{\"text\":\"a\"\\}|.{0,10}"), 0..4),
    ) {
        let mut body = Vec::new();
        for (flags, length, text) in envelopes {
            body.push(flags);
            body.extend((if length < 15 { text.len() as u32 } else { length }).to_be_bytes());
            body.extend(text.as_bytes());
        }
        fine(&ask(method, KINDS[2], body, true))?;
    }
}
