//! Pulling over real protocols, from servers of this machine: HTTP with ranges and broken connections, S3 with signatures.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::{fs, path::Path};

use futures::StreamExt;
use graft_pull::{PullError, Puller, Source, fetch::Fetcher, place};
use servers::{S3_KEY, S3_SECRET, Web, model, s3};
use tempfile::TempDir;

fn puller(folder: &TempDir, environment: &[(&str, &str)]) -> Puller {
    let mut environment: Vec<(String, String)> =
        environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    environment.push(("XDG_CACHE_HOME".to_owned(), folder.path().display().to_string()));
    Puller::new(environment)
}

async fn pull(puller: &Puller, uri: &str, target: &Path) -> Result<(String, Vec<u64>), PullError> {
    let mut told = Vec::new();
    let pulled = puller.pull(&uri.parse::<Source>()?, &mut |done, _| told.push(done)).await?;
    pulled.install(target, None)?;
    Ok((pulled.origin, told))
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let (puller, target) = (puller(&folder, &[]), folder.path().join("model.onnx"));
    // The client tries again by itself, a few times, and each time it breaks off.
    web.set_tag("\"one\"");
    web.break_off_after(100_000);
    let broken = pull(&puller, &web.url("/model.onnx"), &target).await.unwrap_err();
    let PullError::Interrupted { done, total, .. } = &broken else { panic!("{broken}") };
    assert!((1..=100_000 * 5).contains(done) && *total == model().len() as u64, "{broken}");
    assert!(!target.exists());

    web.never_break_off();
    let before = web.sent();
    let (_, told) = pull(&puller, &web.url("/model.onnx"), &target).await.unwrap();
    assert_eq!(told[0], *done, "it begins with what was kept");
    assert_eq!(web.sent() - before, model().len() as u64 - done, "and only the rest is sent");
    assert_eq!(fs::read(&target).unwrap(), model());
    assert!(fs::read_dir(&puller.cache).unwrap().next().is_none(), "nothing is left in the cache");
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_begun_anew() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let (puller, target) = (puller(&folder, &[]), folder.path().join("model.onnx"));
    web.set_tag("\"one\"");
    web.break_off_after(50_000);
    pull(&puller, &web.url("/model.onnx"), &target).await.unwrap_err();
    web.never_break_off();
    web.set_tag("\"two\"");
    let (_, told) = pull(&puller, &web.url("/model.onnx"), &target).await.unwrap();
    assert_eq!(told[0], 0);
    assert_eq!(fs::read(&target).unwrap(), model());
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_of_it_again() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let (puller, target) = (puller(&folder, &[]), folder.path().join("model.onnx"));
    web.ignore_ranges();
    web.break_off_after(50_000);
    pull(&puller, &web.url("/model.onnx"), &target).await.unwrap_err();
    web.never_break_off();
    pull(&puller, &web.url("/model.onnx"), &target).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), model());
}

#[tokio::test]
async fn what_a_web_server_does_not_give_is_named() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let target = folder.path().join("model.onnx");
    let mut puller = puller(&folder, &[]);
    let missing = pull(&puller, &web.url("/other.onnx"), &target).await.unwrap_err();
    assert!(matches!(missing, PullError::NotFound { .. }) && missing.to_string().contains("/other.onnx"), "{missing}");
    let page = pull(&puller, &web.url("/page.html"), &target).await.unwrap_err();
    assert!(matches!(page, PullError::NotOnnx { .. }), "{page}");
    puller.limit = 1000;
    let large = pull(&puller, &web.url("/model.onnx"), &target).await.unwrap_err().to_string();
    assert!(large.contains("at most 1000"), "{large}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = pull(&puller, &format!("http://{nobody}/model.onnx"), &target).await.unwrap_err();
    assert!(unreachable.is_unreachable(), "{unreachable}");
    assert!(!target.exists());
}

#[tokio::test]
async fn what_is_beside_the_model_comes_along_and_a_wrong_checksum_does_not() {
    let (folder, web) = (TempDir::new().unwrap(), Web::serve(model()).await);
    let (puller, target) = (puller(&folder, &[]), folder.path().join("model.onnx"));
    let source: Source = web.url("/model.onnx").parse().unwrap();
    let pulled = puller.pull(&source, &mut |_, _| {}).await.unwrap();
    assert_eq!(pulled.beside, [("preprocessor_config.json".to_owned(), b"{}".to_vec())]);
    let wrong = pulled.install(&target, Some(&"0".repeat(64))).unwrap_err().to_string();
    assert!(wrong.contains(&"0".repeat(64)) && wrong.contains("sha256"), "{wrong}");
    assert!(!target.exists());
}

#[tokio::test]
async fn a_bucket_is_read_with_signed_requests() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("s3/models/net")).unwrap();
    fs::write(folder.path().join("s3/models/net/model.onnx"), model()).unwrap();
    fs::write(folder.path().join("s3/models/net/net.toml"), "name = 'net'").unwrap();
    let endpoint = s3(&folder.path().join("s3")).await;
    let environment = |secret| {
        [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", S3_KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    };
    let (target, uri) = (folder.path().join("model.onnx"), "s3://models/net/model.onnx");
    let (origin, told) = pull(&puller(&folder, &environment(S3_SECRET)), uri, &target).await.unwrap();
    assert_eq!((origin.as_str(), told.last().copied()), (uri, Some(model().len() as u64)));
    assert_eq!(fs::read(&target).unwrap(), model());

    let denied = pull(&puller(&folder, &environment("wrong")), uri, &target).await.unwrap_err();
    assert!(matches!(denied, PullError::Denied { .. }), "{denied}");
    let missing = pull(&puller(&folder, &environment(S3_SECRET)), "s3://models/none.onnx", &target).await.unwrap_err();
    assert!(matches!(missing, PullError::NotFound { .. }), "{missing}");

    let prefix = place::open_folder("s3://models", &puller(&folder, &environment(S3_SECRET)).environment).unwrap();
    let mut names: Vec<String> = prefix.store.list(None).map(|o| o.unwrap().location.to_string()).collect().await;
    names.sort();
    assert_eq!(names, ["net/model.onnx", "net/net.toml"]);
}

#[tokio::test]
async fn small_objects_are_fetched_into_memory_and_large_ones_are_not() {
    let web = Web::serve(vec![7; 5000]).await;
    let source: Source = web.url("/model.onnx").parse().unwrap();
    let fetcher = Fetcher::new(Vec::new(), 5000);
    let (first, second) = tokio::join!(fetcher.fetch(&source), fetcher.fetch(&source));
    assert!(first.unwrap() == vec![7; 5000] && second.unwrap() == vec![7; 5000]);
    let refused = Fetcher::new(Vec::new(), 4999).fetch(&source).await.unwrap_err();
    assert!(matches!(refused, PullError::TooLarge { bytes: 5000, limit: 4999, .. }), "{refused}");
    let missing = fetcher.fetch(&web.url("/nothing.jpg").parse().unwrap()).await.unwrap_err();
    assert!(matches!(missing, PullError::NotFound { .. }), "{missing}");
    for elsewhere in ["/etc/hosts", "hf://o/r/a.jpg"] {
        let refused = fetcher.fetch(&elsewhere.parse().unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains("https://"), "{refused}");
    }
    web.break_off_after(1000);
    let broken = fetcher.fetch(&source).await.unwrap_err();
    assert!(broken.to_string().contains("/model.onnx"), "{broken}");
}
