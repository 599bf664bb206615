//! A bucket of an S3 server in this process, which checks signatures; its objects are the files of a folder.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use http::{Method, Response, StatusCode};
use hyper::service::{Service, service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NAME: &str = "models";

/// A bucket with what a client needs to know of it.
#[derive(Debug)]
pub struct Bucket {
    folder: TempDir,
    endpoint: String,
    refuses: Arc<AtomicBool>,
}

impl Bucket {
    /// Serve an empty bucket for the rest of this process.
    pub async fn serve() -> Result<Bucket> {
        let folder = TempDir::new()?;
        fs::create_dir(folder.path().join(NAME))?;
        let files = s3s_fs::FileSystem::new(folder.path()).ok().context("a folder")?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let refuses = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let refusing = refuses.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (service, refusing) = (service.clone(), refusing.clone());
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (service, writes) =
                        (service.clone(), *request.method() != Method::GET && *request.method() != Method::HEAD);
                    let refused = writes && refusing.load(Ordering::Acquire);
                    async move {
                        if refused {
                            return Ok(unavailable());
                        }
                        Service::call(&service, request).await
                    }
                });
                tokio::spawn(async move {
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await
                });
            }
        });
        Ok(Bucket { folder, endpoint, refuses })
    }

    /// The folder whose files are the objects.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// Refuse what would change something, with the status 503, or do so no longer.
    pub fn refuse_writes(&self, refuse: bool) {
        self.refuses.store(refuse, Ordering::Release);
    }

    /// Its address for clients.
    pub fn uri(&self) -> String {
        format!("s3://{NAME}")
    }

    /// The variables by which clients find it and may read it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
    }
}

fn unavailable() -> Response<s3s::Body> {
    let mut response = Response::new(s3s::Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
