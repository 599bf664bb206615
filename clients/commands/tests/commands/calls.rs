//! All four kinds of calls, with every way to say what is sent.

use serde_json::json;

use crate::support::{echoed, message, messages, server};

#[tokio::test]
async fn one_message_of_every_kind_of_flag() {
    let server = server::start().await;
    let arguments = [
        "echo",
        "--output",
        "jsonl",
        "--a-double=-1.5e3",
        "--an-int32",
        "-7",
        "--a-uint64",
        "18446744073709551615",
        "--a-bool",
        "--a-string",
        "grün",
        "--some-bytes",
        "text:@it",
        "--colour",
        "deep-blue",
        "--maybe-bool=false",
        "--doubles",
        "1,2.5",
        "--doubles=-3",
        "--bools",
        "true,false",
        "--strings",
        "a,b",
        "--strings",
        "c",
        "--colours",
        "red,COLOUR_ROT,-5",
        "--inner.name",
        "x",
        "--inner.amount",
        "3",
        "--inner.tags",
        "t",
        "--inners.name",
        "y",
        "--tree.left.text",
        "leaf",
        "--by-name",
        "n",
        "--strings-by-string",
        "k=v=w",
        "--bools-by-int64=-1=true",
        "--inners-by-sint64",
        r#"1={"name":"in"}"#,
        "--durations-by-bool",
        "true=90s",
        "--moment",
        "2026-01-31T12:00:00Z",
        "--length",
        "1h30m",
        "--mask",
        "inner.name,count",
        "--structure",
        r#"{"a":[1]}"#,
        "--value",
        "plain text",
        "--empty",
        "--wrapped-bool",
        "--wrapped-string",
        "",
        "--request.output",
        "o",
        "--request.json",
        "--nothing",
        "0",
    ];
    let out = echoed(&server.url, &arguments).await;
    let expected = json!({
        "a_double": -1500, "an_int32": -7, "a_uint64": "18446744073709551615", "a_bool": true, "a_string": "grün",
        "some_bytes": "QGl0", "colour": "COLOUR_DEEP_BLUE", "maybe_bool": false, "doubles": [1, 2.5, -3],
        "bools": [true, false], "strings": ["a,b", "c"], "colours": [1, 1, -5],
        "inner": { "name": "x", "amount": 3, "tags": ["t"] }, "inners": [{ "name": "y" }],
        "tree": { "left": { "text": "leaf" } }, "by_name": "n", "strings_by_string": { "k": "v=w" },
        "bools_by_int64": { "-1": true }, "inners_by_sint64": { "1": { "name": "in" } },
        "durations_by_bool": { "true": "90s" }, "moment": "2026-01-31T12:00:00Z", "length": "5400s",
        "mask": "inner.name,count", "structure": { "a": [1] }, "value": "plain text", "empty": {},
        "wrapped_bool": true, "wrapped_string": "", "output": "o", "json": true,
    });
    assert_eq!(messages("Everything", &out), [message("Everything", expected)]);
}

#[tokio::test]
async fn flags_override_json() {
    let server = server::start().await;
    let json = r#"{"aString":"from JSON","inner":{"name":"a","amount":1},"by_name":"n","strings":["x"],"inners":[{"name":"1"}]}"#;
    let flags = ["--inner.amount", "2", "--by-number", "5", "--strings", "y", "--inners.name", "2"];
    let out = echoed(&server.url, &[&["echo", "--output=jsonl", "--json", json], &flags[..]].concat()).await;
    let expected = json!({
        "a_string": "from JSON", "inner": { "name": "a", "amount": 2 }, "by_number": 5, "strings": ["y"],
        "inners": [{ "name": "1" }, { "name": "2" }],
    });
    assert_eq!(messages("Everything", &out), [message("Everything", expected)]);
}

#[tokio::test]
async fn a_stream_comes_out_line_by_line() {
    let server = server::start().await;
    let out = echoed(&server.url, &["repeat", "--count", "3", "--a-string", "x"]).await;
    assert_eq!(messages("Everything", &out), vec![message("Everything", json!({ "count": 3, "a_string": "x" })); 3]);
    assert_eq!(echoed(&server.url, &["repeat"]).await, "");
}

#[tokio::test]
async fn a_stream_goes_in_from_json_and_flags() {
    let server = server::start().await;
    let lines = "{\"count\":1}\n{\"count\":2} {\"a_string\":\"own\"}";
    for command in ["converse", "collect"] {
        let arguments = [command, "--output", "jsonl", "--json", lines, "--a-string", "all"];
        let out = echoed(&server.url, &arguments).await;
        let expected = [
            json!({ "count": 1, "a_string": "all" }),
            json!({ "count": 2, "a_string": "all" }),
            json!({ "a_string": "all" }),
        ];
        match command {
            "converse" => assert_eq!(messages("Everything", &out), expected.map(|json| message("Everything", json))),
            _ => assert_eq!(messages("Collected", &out), [message("Collected", json!({ "all": expected }))]),
        }
    }
    let one = echoed(&server.url, &["converse", "--count", "9"]).await;
    assert_eq!(messages("Everything", &one), [message("Everything", json!({ "count": 9 }))]);
    assert_eq!(echoed(&server.url, &["converse"]).await, "", "nothing is said, so nothing is sent");
}

#[tokio::test]
async fn options_go_before_items() {
    let server = server::start().await;
    let flags = ["--target", "t", "--items.items.id", "1", "--uri", "u", "--session", "s"];
    let out = echoed(&server.url, &[&["upload"], &flags[..]].concat()).await;
    let expected = [
        json!({ "session": "s", "options": { "target": "t" } }),
        json!({ "session": "s", "items": { "items": [{ "id": "1", "uri": "u" }] } }),
    ];
    assert_eq!(messages("UploadRequest", &out), expected.map(|json| message("UploadRequest", json)));
    // Where nothing is said of the options, they go ahead all the same.
    let out = echoed(&server.url, &["upload", "--uri", "u"]).await;
    let expected = [json!({ "options": {} }), json!({ "items": { "items": [{ "uri": "u" }] } })];
    assert_eq!(messages("UploadRequest", &out), expected.map(|json| message("UploadRequest", json)));
    let items = r#"{"items":{"items":[{"id":"a"},{"id":"b"}]}}"#;
    let out = echoed(&server.url, &["upload", "--target", "t", "--json", items]).await;
    let expected =
        [json!({ "options": { "target": "t" } }), json!({ "items": { "items": [{ "id": "a" }, { "id": "b" }] } })];
    assert_eq!(messages("UploadRequest", &out), expected.map(|json| message("UploadRequest", json)));
}

#[tokio::test]
async fn headers_go_along() {
    let server = server::start().await;
    let out = echoed(&server.url, &["echo", "--header", "say=hello", "--query", ".a_string"]).await;
    assert_eq!(out, "hello\n");
}
