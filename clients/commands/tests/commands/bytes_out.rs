//! Bytes of answers go to files.

use std::fs;

use crate::support::{echo, echoed, message, messages, server};

#[tokio::test]
async fn pieces_become_a_file() {
    let (server, folder) = (server::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("whole");
    let to = format!("data={}", path.display());
    let out = echoed(&server.url, &["fetch", "--pieces", "3", "--output-file", &to]).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "piece 0;piece 1;piece 2;");
    // What is left of the first message is told; of the others nothing is.
    let expected = message("StoreRequest", serde_json::json!({ "options": { "target": "first" } }));
    assert_eq!(messages("StoreRequest", &out), [expected]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[tokio::test]
async fn they_may_go_to_standard_output() {
    let server = server::start().await;
    let out = echoed(&server.url, &["fetch", "--pieces", "2", "--output-file", "data=-", "--query", "empty"]).await;
    assert_eq!(out, "piece 0;piece 1;");
}

#[tokio::test]
async fn a_call_that_fails_leaves_no_file() {
    let (server, folder) = (server::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("whole");
    let to = format!("some_bytes={}", path.display());
    let (done, _) =
        echo(&server.url, &["echo", "--header", "slowly=1", "--timeout", "100ms", "--output-file", &to]).await;
    let failure = done.unwrap_err();
    assert!(failure.code() == 1 && failure.to_string().contains("DEADLINE_EXCEEDED"), "{failure}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let (done, _) = echo(&server.url, &["echo", "--output-file", "a_string=x"]).await;
    assert!(done.unwrap_err().to_string().contains("some-bytes"));
}
