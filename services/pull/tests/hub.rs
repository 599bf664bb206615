//! Pulling from the Hugging Face hub, which a server of this machine stands in for, with its routes and headers.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::{fs, path::Path};

use graft_pull::{PullError, Pulled, Puller};
use servers::{Web, model};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn puller(folder: &Path, endpoint: &str) -> Puller {
    let pairs = [("HF_ENDPOINT", endpoint.to_owned()), ("HF_HOME", folder.join("hf").display().to_string())];
    Puller::new(pairs.map(|(key, value)| (key.to_owned(), value)).to_vec())
}

async fn pull(puller: &Puller, uri: &str) -> Result<Pulled, PullError> {
    puller.pull(&uri.parse()?, &mut |_, _| {}).await
}

#[tokio::test]
async fn a_repository_gives_its_model_with_commit_checksum_and_configuration() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    web.set_tag(&format!("\"{}\"", web.sha256()));
    let puller = puller(folder.path(), &web.url(""));
    let pulled = pull(&puller, "hf://timm/net").await.unwrap();
    assert_eq!(pulled.origin, format!("hf://timm/net/onnx/model.onnx@{COMMIT}"));
    let names: Vec<&str> = pulled.beside.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["preprocessor_config.json", "config.json"]);
    let target = folder.path().join("model.onnx");
    let copied = pulled.install(&target, None).unwrap();
    assert_eq!((copied.sha256, fs::read(&target).unwrap()), (web.sha256(), model()));
    let before = web.sent();
    pull(&puller, "hf://timm/net").await.unwrap();
    assert!(web.sent() - before < 1000, "what is in the hub's cache is not sent again");
}

#[tokio::test]
async fn a_download_from_the_hub_goes_on_where_it_broke_off() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    web.set_tag(&format!("\"{}\"", web.sha256()));
    web.break_off_after(1_000_000);
    let puller = puller(folder.path(), &web.url(""));
    pull(&puller, "hf://timm/net").await.unwrap_err();
    web.never_break_off();
    let before = web.sent();
    let pulled = pull(&puller, "hf://timm/net/onnx/model.onnx@main").await.unwrap();
    assert!(web.sent() - before < model().len() as u64, "{} bytes were sent again", web.sent() - before);
    pulled.install(&folder.path().join("model.onnx"), None).unwrap();
}

#[tokio::test]
async fn a_server_that_sends_all_instead_of_the_rest_spoils_nothing() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    web.break_off_after(1_000_000);
    let puller = puller(folder.path(), &web.url(""));
    pull(&puller, "hf://timm/net").await.unwrap_err();
    web.never_break_off();
    web.ignore_ranges();
    let doubled = pull(&puller, "hf://timm/net").await.unwrap_err().to_string();
    assert!(doubled.contains("were announced"), "{doubled}");
    let again = pull(&puller, "hf://timm/net").await.unwrap();
    let copied = again.install(&folder.path().join("model.onnx"), None).unwrap();
    assert_eq!(copied.bytes, model().len() as u64);
}

#[tokio::test]
async fn content_that_is_not_what_the_hub_promises_is_refused() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    web.set_tag(&format!("\"{}\"", "ab".repeat(32)));
    let puller = puller(folder.path(), &web.url(""));
    let pulled = pull(&puller, "hf://timm/net").await.unwrap();
    let refused = pulled.install(&folder.path().join("model.onnx"), None).unwrap_err();
    assert!(matches!(refused, PullError::Checksum { .. }), "{refused}");
    let before = web.sent();
    pull(&puller, "hf://timm/net").await.unwrap();
    assert!(web.sent() - before >= model().len() as u64, "it is not kept, but sent again");
}

#[tokio::test]
async fn what_the_hub_does_not_have_is_named() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let here = puller(folder.path(), &web.url(""));
    for (uri, words) in [
        ("hf://timm/none", ["timm/none", "no such"]),
        ("hf://timm/net/missing.onnx", ["missing.onnx", "no such"]),
        ("hf://timm/private", ["timm/private", "HF_TOKEN"]),
    ] {
        let error = pull(&here, uri).await.unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{uri}: {error}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = pull(&puller(folder.path(), &format!("http://{nobody}")), "hf://timm/net").await.unwrap_err();
    assert!(gone.is_unreachable(), "{gone}");
}
