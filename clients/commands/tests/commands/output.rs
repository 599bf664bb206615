//! Answers as tables, JSON, YAML, and through queries.

use crate::support::{echo, echoed, server};

const INNERS: [&str; 4] = ["--inners", r#"{"name":"grün","amount":7}"#, "--inners", r#"{"name":"b","tags":["x","y"]}"#];

#[tokio::test]
async fn tables_are_for_people() {
    let server = server::start().await;
    let out = echoed(&server.url, &[&["echo"], &INNERS[..]].concat()).await;
    assert_eq!(out, "name  amount  tags\ngrün  7\nb             x, y\n");
    let fields = [
        "--inner.name",
        "n",
        "--colour",
        "deep-blue",
        "--some-bytes",
        "12345678",
        "--moment=2026-01-31",
        "--length=90s",
    ];
    let out = echoed(&server.url, &[&["echo"], &fields[..]].concat()).await;
    let expected = "some_bytes  8 bytes: 313233343536…\ncolour      deep-blue\ninner.name  n\n\
                    moment      2026-01-31T00:00:00Z\nlength      90s\n";
    assert_eq!(out, expected);
    assert_eq!(echoed(&server.url, &["echo"]).await, "done\n");
}

#[tokio::test]
async fn json_and_yaml_are_for_programs() {
    let server = server::start().await;
    let out = echoed(&server.url, &["echo", "--inner.name", "n", "--output", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["inner"]["name"], &json["count"], &json["strings"]),
        (&"n".into(), &0.into(), &serde_json::json!([]))
    );
    assert!(out.lines().count() > 10 && json.get("maybe_string").is_none());
    let out = echoed(&server.url, &["repeat", "--count", "2", "--inner.name", "n: \"1\"", "--output", "yaml"]).await;
    let documents: Vec<_> = out.split("---\n").filter(|text| !text.is_empty()).collect();
    assert_eq!(documents.len(), 2);
    let yaml: serde_json::Value = yaml_serde::from_str(documents[0]).unwrap();
    assert_eq!((&yaml["inner"]["name"], &yaml["count"]), (&"n: \"1\"".into(), &2.into()));
}

#[tokio::test]
async fn queries_pick() {
    let server = server::start().await;
    let query = |program: &'static str, format: &'static str| {
        let server = &server.url;
        async move { echoed(server, &[&["echo", "--query", program, "--output", format], &INNERS[..]].concat()).await }
    };
    assert_eq!(query(".inners[0].name", "table").await, "grün\n");
    assert_eq!(query(".inners[].name", "jsonl").await, "\"grün\"\n\"b\"\n");
    assert_eq!(query(".inners | map({name, n: .amount})", "table").await, "n  name\n7  grün\n0  b\n");
    assert_eq!(query("[.inners[].amount] | add", "yaml").await, "7\n");
    assert_eq!(query("{a: .inners[1].tags}", "json").await, "{\n  \"a\": [\n    \"x\",\n    \"y\"\n  ]\n}\n");
    for wrong in [".inners[", "nonsense(1)", ".inners | .name", "1 +"] {
        let (done, _) = echo(&server.url, &[&["echo", "--query", wrong], &INNERS[..]].concat()).await;
        let failure = done.unwrap_err();
        assert!(failure.to_string().contains("--query"), "{wrong}: {failure}");
    }
}
