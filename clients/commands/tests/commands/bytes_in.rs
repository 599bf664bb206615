//! Files, folders and patterns become the messages of a stream.

use std::fs;

use serde_json::json;

use crate::support::{echo, echoed, message, messages, server};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("cat/b.txt", "B"), ("cat/a.txt", "A"), ("dog/c.bin", "C"), (".hidden", "no")] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

#[tokio::test]
async fn each_file_of_a_folder_is_an_item() {
    let (server, folder) = (server::start().await, folder());
    let path = folder.path().to_str().unwrap();
    let each = format!("content={path}");
    let flags = ["--target", "t", "--label", "{parent} {index}", "--session", "s"];
    let out = echoed(&server.url, &[&["upload", "--each", &each], &flags[..]].concat()).await;
    let item = |name: &str, label: &str, content: &str| {
        let item = json!({ "id": format!("{path}/{name}"), "label": label, "content": content });
        json!({ "session": "s", "items": { "items": [item] } })
    };
    let expected = [
        json!({ "session": "s", "options": { "target": "t" } }),
        item("cat/a.txt", "cat 0", "QQ=="),
        item("cat/b.txt", "cat 1", "Qg=="),
        item("dog/c.bin", "dog 2", "Qw=="),
    ];
    assert_eq!(messages("UploadRequest", &out), expected.map(|json| message("UploadRequest", json)));
}

#[tokio::test]
async fn patterns_and_ids_of_ones_own() {
    let (server, folder) = (server::start().await, folder());
    // One field of bytes: it need not be named.
    let pattern = format!("{}/*/*.txt", folder.path().display());
    let ids = ["upload", "--each", &pattern, "--id", "{stem}", "--query", ".items.items // [] | .[].id"];
    assert_eq!(echoed(&server.url, &ids).await, "\"a\"\n\"b\"\n");
    let fields = ["items.items.content", "items.content", "content"];
    for field in fields {
        let each = format!("{field}={pattern}");
        let out =
            echoed(&server.url, &["upload", "--each", &each, "--query", ".items.items // [] | .[].content"]).await;
        assert_eq!(out, "\"QQ==\"\n\"Qg==\"\n", "{field}");
    }
}

#[tokio::test]
async fn a_large_file_goes_in_pieces() {
    let (server, folder) = (server::start().await, tempfile::tempdir().unwrap());
    let content: Vec<u8> = (0..5_500_000_u32).map(|place| (place % 251) as u8).collect();
    let (large, stored) = (folder.path().join("large"), folder.path().join("stored"));
    fs::write(&large, &content).unwrap();
    let to = format!("data={}", stored.display());
    let arguments =
        ["store", "--each", large.to_str().unwrap(), "--options.target", "t", "--output-file", &to, "--output=jsonl"];
    let out = echoed(&server.url, &arguments).await;
    let answer = &messages("StoreResponse", &out)[0];
    assert_eq!(answer, &message("StoreResponse", json!({ "messages": 6, "with_options": 1 })));
    assert_eq!(fs::read(stored).unwrap(), content);
    // An empty file is a message too.
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let out = echoed(&server.url, &["store", "--each", empty.to_str().unwrap(), "--query", ".messages"]).await;
    assert_eq!(out, "1\n");
}

#[tokio::test]
async fn more_files_than_are_ever_in_memory() {
    let (server, folder) = (server::start().await, tempfile::tempdir().unwrap());
    for place in 0..300 {
        fs::write(folder.path().join(format!("{place:04}")), place.to_string()).unwrap();
    }
    let out = echoed(&server.url, &["upload", "--each", folder.path().to_str().unwrap(), "--id", "{name}"]).await;
    let ids: Vec<String> = messages("UploadRequest", &out)
        .iter()
        .skip(1)
        .map(|message| serde_json::to_value(message).unwrap()["items"]["items"][0]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..300).map(|place| format!("{place:04}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn bytes_of_flags_come_from_files_too() {
    let (server, folder) = (server::start().await, folder());
    let file = format!("@{}/cat/a.txt", folder.path().display());
    let arguments =
        ["echo", "--some-bytes", &file, "--byte-strings", "base64:/w==", "--byte-strings", "x", "--output", "jsonl"];
    let out = echoed(&server.url, &arguments).await;
    let expected = json!({ "some_bytes": "QQ==", "byte_strings": ["/w==", "eA=="] });
    assert_eq!(messages("Everything", &out), [message("Everything", expected)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let (server, folder) = (server::start().await, folder());
    let nothing = format!("{}/*.none", folder.path().display());
    for (each, words) in
        [("content=/no/such/file", "/no/such/file"), ("what=/tmp", "what"), (nothing.as_str(), "there is no file")]
    {
        let (done, _) = echo(&server.url, &["upload", "--each", each]).await;
        let failure = done.unwrap_err();
        assert!(failure.code() != 0 && failure.to_string().contains(words), "{each}: {failure}");
    }
    let (done, _) = echo(&server.url, &["converse", "--json", "{\"count\":1}\n{\"cuont\":2}"]).await;
    let failure = done.unwrap_err().to_string();
    assert!(failure.contains("message 2") && failure.contains("cuont"), "{failure}");
}
