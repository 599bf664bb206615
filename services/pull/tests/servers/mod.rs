//! Servers of this machine to pull from.

// Each test file uses its part of them.
#![allow(dead_code)]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use sha2::{Digest, Sha256};

pub const S3_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const NEVER: u64 = u64::MAX;

/// The built-in backbone's model: a real ONNX file.
pub fn model() -> Vec<u8> {
    let path = "../extractor/backbones/efficientnet-lite0/model.onnx";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the built-in model")
}

/// A web server with one model, at `/model.onnx` and where the hub has those of `timm/net`.
#[derive(Clone)]
pub struct Web {
    address: SocketAddr,
    model: Bytes,
    tag: Arc<Mutex<String>>,
    /// Each answer's connection breaks after so many bytes of its body.
    most: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    /// Whether the rest of a file is asked for in vain.
    no_ranges: Arc<AtomicBool>,
}

impl Web {
    pub async fn serve(model: Vec<u8>) -> Web {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let web = Web {
            address: listener.local_addr().expect("an address"),
            model: model.into(),
            tag: Arc::new(Mutex::new("\"plain\"".into())),
            most: Arc::new(AtomicU64::new(NEVER)),
            sent: Arc::default(),
            no_ranges: Arc::default(),
        };
        let routes = Router::new().fallback(answer).with_state(web.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        web
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn set_tag(&self, tag: &str) {
        *self.tag.lock().expect("no panic") = tag.to_owned();
    }

    pub fn break_off_after(&self, bytes: u64) {
        self.most.store(bytes, Ordering::SeqCst);
    }

    pub fn never_break_off(&self) {
        self.break_off_after(NEVER);
    }

    /// Answer requests for the end of a file with all of it, as some servers do.
    pub fn ignore_ranges(&self) {
        self.no_ranges.store(true, Ordering::SeqCst);
    }

    /// Bytes of the model that were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn sha256(&self) -> String {
        Sha256::digest(&self.model).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The model, or the part that the range asks for, up to where the connection breaks.
    fn file(&self, request: &Request) -> Response {
        let tag = self.tag.lock().expect("no panic").clone();
        let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
        let range = range.filter(|range| !range.ends_with('-') || !self.no_ranges.load(Ordering::SeqCst));
        let (start, end) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
        let length = self.model.len() as u64;
        let start: u64 = start.parse().expect("a number");
        let end = if end.is_empty() { length } else { end.parse::<u64>().expect("a number") + 1 };
        let mut answer = Response::builder()
            .status(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
            .header(header::ETAG, tag)
            .header("x-repo-commit", COMMIT)
            .header(header::CONTENT_LENGTH, end - start);
        if range.is_some() {
            answer = answer.header(header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", end - 1));
        }
        if request.method() == Method::HEAD {
            return answer.body(Body::empty()).expect("an answer");
        }
        let most = self.most.load(Ordering::SeqCst);
        let sent = (end - start).min(most);
        self.sent.fetch_add(sent, Ordering::SeqCst);
        let part = self.model.slice(start as usize..(start + sent) as usize);
        let broken = (sent < end - start).then_some(async {
            // What came before is on its way by then.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("the cable is cut"))
        });
        let chunks = stream::iter([Ok(part)]).chain(stream::iter(broken).then(|cut| cut));
        answer.body(Body::from_stream(chunks)).expect("an answer")
    }

    fn small(&self, text: &'static str, request: &Request) -> Response {
        let headers = [
            ("etag".to_owned(), format!("\"small-{}\"", text.len())),
            ("x-repo-commit".to_owned(), COMMIT.to_owned()),
            ("content-range".to_owned(), format!("bytes 0-{}/{}", text.len() - 1, text.len())),
        ];
        let body = if request.method() == Method::HEAD { "" } else { text };
        (axum::response::AppendHeaders(headers), body).into_response()
    }
}

async fn answer(State(web): State<Web>, request: Request) -> Response {
    let path = request.uri().path().replace("/resolve/main/", "/-/");
    match path.as_str() {
        "/model.onnx" | "/timm/net/-/onnx/model.onnx" => web.file(&request),
        "/preprocessor_config.json" | "/timm/net/-/preprocessor_config.json" => web.small("{}", &request),
        "/timm/net/-/config.json" => web.small("{\"architecture\":\"net\"}", &request),
        "/page.html" => web.small("<html>", &request),
        "/api/models/timm/net/revision/main" => {
            let files = ["README.md", "config.json", "preprocessor_config.json", "onnx/model.onnx"];
            let files: Vec<String> = files.iter().map(|name| format!("{{\"rfilename\":\"{name}\"}}")).collect();
            format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", files.join(",")).into_response()
        }
        "/api/models/timm/private/revision/main" => StatusCode::UNAUTHORIZED.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A server that speaks S3 and checks signatures, over the folder's sub-folders as buckets.
pub async fn s3(folder: &Path) -> String {
    let files = s3s_fs::FileSystem::new(folder).expect("a folder");
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(S3_KEY, S3_SECRET));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await
            });
        }
    });
    format!("http://{address}")
}
