//! Who calls is said on every call, and never to whom it may concern.

use std::fs;

use futures::StreamExt;
use graft_client::{
    Error, Graft, Settings, Token, extract,
    proto::{ExtractOptions, ListBackbonesRequest},
};

use crate::server::{Server, free};

fn settings(url: &str, token: Token) -> Settings {
    Settings { trainer: url.into(), extractor: url.into(), token: Some(token), ..Settings::default() }
}

#[tokio::test]
async fn calls_and_streams_bring_the_token() {
    let server = Server::plain(free()).await;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "of-file\n").unwrap();
    let graft = Graft::with(&settings(&server.url("http"), Token::File(path))).unwrap();
    graft.extractor.backbones().list_backbones(ListBackbonesRequest {}).await.unwrap();
    let extraction = extract(&graft.extractor, ExtractOptions::default(), futures::stream::empty()).await.unwrap();
    assert_eq!(extraction.embeddings.count().await, 0);
    server.scripted.script(|script| {
        assert_eq!(script.calls.len(), 2);
        assert!(script.calls.iter().all(|call| call.get("authorization").unwrap() == "Bearer of-file"));
    });
    assert_eq!(graft.service("extractor").unwrap().metadata().get("authorization").unwrap(), "Bearer of-file");
    assert!(graft.service("nowhere").is_none());

    let nobody = Graft::new(&server.url("http"), &server.url("http")).unwrap();
    nobody.extractor.backbones().list_backbones(ListBackbonesRequest {}).await.unwrap();
    assert!(server.scripted.script(|script| script.calls[2].get("authorization").is_none()));
    assert!(nobody.extractor.metadata().is_empty());
}

#[test]
fn a_token_is_not_sent_for_all_to_read() {
    let token = || Token::Text("s3cret".into());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for url in ["http://graft.example.org:7400", "http://10.1.2.3:7400", "http://localhost.example.org"] {
        let error = Graft::with(&settings(url, token())).unwrap_err();
        assert!(matches!(&error, Error::Config { place, .. } if place == "token"), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(url) && message.contains("https://") && !message.contains("s3cret"), "{message}");
        Graft::new(url, url).unwrap();
    }
    for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://graft.example.org:7400"] {
        let graft = Graft::with(&settings(url, token())).unwrap();
        assert!(!format!("{graft:?}").contains("s3cret"));
    }
}
