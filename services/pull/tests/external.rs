//! Models that keep weights in another file, pulled whole from each kind of place.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::{fs, path::Path};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{AppendHeaders, IntoResponse, Response},
};
use graft_pull::{PullError, Puller};
use servers::{S3_KEY, S3_SECRET, s3};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &[u8] = &[5; 70_000];

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128, "one byte of length");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

/// An ONNX file with one initializer, in the file `name`.
fn model(name: &str) -> Vec<u8> {
    let entry = field(13, &[field(1, b"location"), field(2, name.as_bytes())].concat());
    field(7, &field(5, &[entry, vec![14 << 3, 1]].concat()))
}

fn folder(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("s3/net")).unwrap();
    fs::write(folder.path().join("s3/net/model.onnx"), model("model.onnx_data")).unwrap();
    for name in names {
        fs::write(folder.path().join("s3/net").join(name), WEIGHTS).unwrap();
    }
    folder
}

fn puller(folder: &Path, variables: &[(&str, &str)]) -> Puller {
    let cache = [("XDG_CACHE_HOME".to_owned(), folder.join("cache").display().to_string())];
    let given = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Puller::new(given.chain(cache).collect())
}

/// Pull it whole; without its weights, and with too little room, it says so and leaves nothing.
async fn whole(puller: &mut Puller, folder: &TempDir, uri: &str) {
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut told = (0, 0);
    let pulled = puller.pull(&uri.parse().unwrap(), &mut |done, total| told = (done, total)).await.unwrap();
    pulled.install(&out.join("model.onnx"), None).unwrap();
    assert_eq!(fs::read(out.join("model.onnx")).unwrap(), model("model.onnx_data"));
    assert_eq!(fs::read(out.join("model.onnx_data")).unwrap(), WEIGHTS);
    let all = (WEIGHTS.len() + model("model.onnx_data").len()) as u64;
    assert!(told == (0, 0) || told == (all, all), "{told:?} of {all}");
    puller.limit = all - 1;
    let large = puller.pull(&uri.parse().unwrap(), &mut |_, _| {}).await.unwrap_err().to_string();
    assert!(large.contains(&format!("{all} bytes; at most {}", all - 1)), "{large}");
    puller.limit = all;
    fs::remove_file(folder.path().join("s3/net/model.onnx_data")).unwrap();
    let missing = puller.pull(&uri.parse().unwrap(), &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(missing, PullError::NoData { .. }), "{missing}");
    let said = missing.to_string();
    let both = ["model.onnx: ", &format!("model.onnx@{COMMIT}: ")].iter().any(|model| said.contains(model));
    assert!(both && said.contains("model.onnx_data"), "{said}");
}

#[tokio::test]
async fn from_a_folder() {
    let folder = folder(&["model.onnx_data"]);
    let path = folder.path().join("s3/net/model.onnx");
    whole(&mut puller(folder.path(), &[]), &folder, &path.display().to_string()).await;
}

#[tokio::test]
async fn from_a_bucket() {
    let folder = folder(&["model.onnx_data"]);
    let endpoint = s3(&folder.path().join("s3")).await;
    let variables = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", S3_KEY),
        ("AWS_SECRET_ACCESS_KEY", S3_SECRET),
    ];
    whole(&mut puller(folder.path(), &variables), &folder, "s3://net/model.onnx").await;
}

#[tokio::test]
async fn from_a_web_server() {
    let folder = folder(&["model.onnx_data"]);
    let url = web(&folder).await;
    whole(&mut puller(folder.path(), &[]), &folder, &format!("{url}/model.onnx")).await;
}

#[tokio::test]
async fn from_the_hub_at_the_models_commit() {
    let folder = folder(&["model.onnx_data"]);
    let url = web(&folder).await;
    let home = folder.path().join("hf").display().to_string();
    let mut puller = puller(folder.path(), &[("HF_ENDPOINT", &url), ("HF_HOME", &home)]);
    whole(&mut puller, &folder, "hf://timm/net/onnx/model.onnx").await;
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_not_followed() {
    let folder = folder(&[]);
    fs::write(folder.path().join("secret"), "secret").unwrap();
    let path = folder.path().join("s3/net/model.onnx");
    for name in ["../../secret", "/etc/passwd", "backbone.toml"] {
        fs::write(&path, model(name)).unwrap();
        let source = path.display().to_string().parse().unwrap();
        let refused = puller(folder.path(), &[]).pull(&source, &mut |_, _| {}).await.unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains("keeps weights in"), "{refused}");
    }
}

/// The folder's files at the root, and where the hub has those of `timm/net`: the model on `main`, its weights at the
/// model's commit alone.
async fn web(folder: &TempDir) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer).with_state(folder.path().join("s3/net"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn answer(State(folder): State<std::path::PathBuf>, request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/models/timm/net/revision/") {
        return format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[]}}").into_response();
    }
    let at_commit = format!("/timm/net/resolve/{COMMIT}/onnx/");
    let name = match path.strip_prefix("/timm/net/resolve/main/onnx/") {
        Some("model.onnx") => "model.onnx",
        Some(_) => return StatusCode::NOT_FOUND.into_response(),
        None => path.strip_prefix(&at_commit).unwrap_or(&path[1..]),
    };
    let Ok(content) = fs::read(folder.join(name)) else { return StatusCode::NOT_FOUND.into_response() };
    let length = content.len();
    let headers = [
        ("etag", format!("\"tag-{length}\"")),
        ("x-repo-commit", COMMIT.to_owned()),
        ("content-range", format!("bytes 0-{}/{length}", length - 1)),
    ];
    (AppendHeaders(headers), Bytes::from(content)).into_response()
}
