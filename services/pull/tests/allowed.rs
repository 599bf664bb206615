//! Small files from allowed places, over real protocols: what is allowed comes, and nobody else is asked.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use graft_pull::allowed::{Allowed, error::FetchError};
use servers::{S3_KEY, S3_SECRET, s3};
use tempfile::TempDir;

/// More than any test fetches, less than what the endless body would fill.
const LIMIT: u64 = 1 << 20;

/// A web server that counts who asks it.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Redirects from `/images/moved` lead to `elsewhere`.
    async fn start(elsewhere: &str) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, elsewhere) = (asked.clone(), elsewhere.to_owned());
        let routes = Router::new().fallback(async move |request: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            answer(&request, &elsewhere)
        });
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Server { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(request: &Request, elsewhere: &str) -> Response {
    let redirect = |status, to: &str| (status, [(header::LOCATION, to.to_owned())]).into_response();
    match request.uri().path() {
        "/images/a.jpg" => "a".into_response(),
        "/images/large" => vec![0; LIMIT as usize + 1].into_response(),
        "/images/endless" => {
            let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 16]));
            Body::from_stream(chunks).into_response()
        }
        "/images/silent" => Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>()).into_response(),
        // It says more than it has, and the connection ends.
        "/images/short" => {
            let chunks = stream::iter([Ok("a"), Err(std::io::Error::other("the cable is cut"))]);
            ([(header::CONTENT_LENGTH, "1000")], Body::from_stream(chunks)).into_response()
        }
        "/images/moved" => redirect(StatusCode::FOUND, elsewhere),
        "/images/moved-near" => redirect(StatusCode::PERMANENT_REDIRECT, "/images/a.jpg"),
        "/images/private" => StatusCode::FORBIDDEN.into_response(),
        "/images/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn fetch_by(allowed: &Allowed, uri: &str, limit: u64) -> Result<Bytes, FetchError> {
    allowed.find(uri)?.fetch(limit).await
}

fn allow(prefixes: &[&str], environment: &[(&str, &str)]) -> Allowed {
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Allowed::new(&prefixes, &environment).unwrap()
}

#[tokio::test]
async fn a_web_servers_files_come_and_what_does_not_come_is_named() {
    let server = Server::start("").await;
    let allowed = allow(&[&format!("{}/images/", server.address)], &[]);
    let fetch = async |path: &str| fetch_by(&allowed, &format!("{}{path}", server.address), LIMIT).await;
    assert_eq!(fetch("/images/a.jpg").await.unwrap(), "a");
    assert_eq!(fetch("/images/a.jpg?width=5").await.unwrap(), "a");
    assert!(matches!(fetch("/images/none").await, Err(FetchError::NotFound)));
    assert!(matches!(fetch("/images/private").await, Err(FetchError::Denied(_))));
    assert!(matches!(fetch("/images/broken").await, Err(FetchError::Unavailable(_))));
    assert!(matches!(fetch("/images/short").await, Err(FetchError::Unavailable(_))));
    for path in ["/images/large", "/images/endless"] {
        let begun = Instant::now();
        assert!(matches!(fetch(path).await, Err(FetchError::TooLarge(LIMIT))), "{path}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{path}: {:?}", begun.elapsed());
    }
    let silent = tokio::time::timeout(Duration::from_millis(200), fetch("/images/silent")).await;
    assert!(silent.is_err(), "whoever asks decides how long it waits");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = fetch_by(&allow(&[&format!("http://{nobody}")], &[]), &format!("http://{nobody}/a"), LIMIT).await;
    assert!(matches!(gone, Err(FetchError::Unavailable(_))), "{gone:?}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_tricks_reach_nobody() {
    let evil = Server::start("").await;
    let server = Server::start(&format!("{}/images/a.jpg", evil.address)).await;
    let allowed = allow(&[&format!("{}/images/", server.address)], &[]);
    let fetch = async |uri: String| fetch_by(&allowed, &uri, LIMIT).await;
    for path in ["moved", "moved-near"] {
        let refused = fetch(format!("{}/images/{path}", server.address)).await;
        assert!(matches!(refused, Err(FetchError::Redirected(302 | 308))), "{refused:?}");
    }
    assert_eq!((server.asked(), evil.asked()), (2, 0), "each was asked once, and nobody else");

    let (host, evil_host) = (server.address.replace("http://", ""), evil.address.replace("http://", ""));
    for uri in [
        format!("http://{evil_host}/images/a.jpg"),
        format!("http://{host}@{evil_host}/images/a.jpg"),
        format!("http://{host}%40{evil_host}/images/a.jpg"),
        format!("http://{evil_host}/http://{host}/images/a.jpg"),
        format!("http://{evil_host}\\@{host}/images/a.jpg"),
        format!("http://{evil_host}#@{host}/images/a.jpg"),
        format!("http://{host}/images/../secret"),
        format!("http://{host}/images/%2e%2e/secret"),
        format!("http://{host}/images/..%2fsecret"),
        format!("http://{host}/images-private/a.jpg"),
        format!("http://{host}/IMAGES/a.jpg"),
        format!("https://{host}/images/a.jpg"),
        format!("http://{}0/images/a.jpg", host),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        String::new(),
    ] {
        let refused = fetch(uri.clone()).await;
        assert!(matches!(refused, Err(FetchError::NotAllowed | FetchError::Malformed(_))), "{uri}: {refused:?}");
    }
    assert_eq!((server.asked(), evil.asked()), (2, 0));
}

#[tokio::test]
async fn files_and_objects_come_from_below_their_prefixes() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("s3/pictures/public")).unwrap();
    for name in ["public/a.jpg", "public.jpg"] {
        fs::write(folder.path().join("s3/pictures").join(name), name).unwrap();
    }
    let endpoint = s3(&folder.path().join("s3")).await;
    let environment = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", S3_KEY),
        ("AWS_SECRET_ACCESS_KEY", S3_SECRET),
    ];
    let directory = format!("file://{}/s3/pictures/public", folder.path().display());
    let allowed = allow(&["s3://pictures/public", &directory], &environment);
    for uri in ["s3://pictures/public/a.jpg".to_owned(), format!("{directory}/a.jpg")] {
        assert_eq!(fetch_by(&allowed, &uri, LIMIT).await.unwrap(), "public/a.jpg");
        assert!(matches!(fetch_by(&allowed, &uri, 5).await, Err(FetchError::TooLarge(5))), "{uri}");
    }
    for uri in ["s3://pictures/public.jpg".to_owned(), format!("{directory}.jpg"), "s3://other/a.jpg".to_owned()] {
        assert!(matches!(fetch_by(&allowed, &uri, LIMIT).await, Err(FetchError::NotAllowed)), "{uri}");
    }
    let missing = fetch_by(&allowed, "s3://pictures/public/none.jpg", LIMIT).await;
    assert!(matches!(missing, Err(FetchError::NotFound)), "{missing:?}");
}

#[tokio::test]
async fn a_store_that_redirects_is_not_followed() {
    let evil = Server::start("").await;
    let store = Server::start(&format!("{}/images/a.jpg", evil.address)).await;
    let environment = [
        ("AWS_ENDPOINT", store.address.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_SKIP_SIGNATURE", "true"),
    ];
    // Its URL is ENDPOINT/BUCKET/KEY.
    let allowed = allow(&["s3://images/"], &environment);
    assert_eq!(fetch_by(&allowed, "s3://images/moved", LIMIT).await.ok(), None);
    assert!(store.asked() > 0 && evil.asked() == 0, "{} {}", store.asked(), evil.asked());
}

#[test]
fn what_cannot_be_allowed_says_why_at_once() {
    for (prefix, word) in [("file:///nowhere/at/all", "No such file"), ("hf://owner/repo", "hf")] {
        let error = Allowed::new(&[prefix.to_owned()], &Vec::new()).unwrap_err().to_string();
        assert!(error.contains(prefix) && error.contains(word), "{error}");
    }
}
