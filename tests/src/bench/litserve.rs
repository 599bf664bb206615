//! The peer: LitServe with Pillow and ONNX Runtime, in processes of its own.

use std::{
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use super::images::command;
use crate::services::free_port;

/// How long it may take to be ready: each worker imports its libraries and opens its session.
const PATIENCE: Duration = Duration::from_secs(60);

/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Worker processes.
    pub workers: usize,
    /// Threads of each worker's session.
    pub threads: usize,
    /// Images in one run, at the most.
    pub batch: usize,
}

/// A running server. Dropping it kills it with its workers.
#[derive(Debug)]
pub struct LitServe {
    process: Child,
    address: SocketAddr,
}

impl LitServe {
    /// Start it with a model, and wait until it is ready.
    pub async fn start(model: &Path, settings: Settings) -> Result<LitServe> {
        let port = free_port();
        let Settings { workers, threads, batch } = settings;
        let process = command("litserve_server.py")?
            .arg(model)
            .args([usize::from(port), workers, threads, batch].map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its workers are killed with it.
            .process_group(0)
            .spawn()?;
        let mut server = LitServe { process, address: ([127, 0, 0, 1], port).into() };
        server.wait_ready().await?;
        Ok(server)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait()? {
                bail!("litserve_server.py ended with {status}; run it by hand to see why");
            }
            let request = Request::get("/health").header(header::HOST, "localhost").body(Full::default())?;
            if let Ok(mut connection) = self.connect().await
                && let Ok(answer) = connection.send_request(request).await
                && answer.status() == StatusCode::OK
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("litserve_server.py is not ready")
    }

    /// Let it stand still: it polls its queues while it has nothing to do, at a third of a core, and would slow the other side.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Let it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_raw(self.process.id().cast_signed()).context("a process's id")?;
        Ok(kill_process_group(group, signal)?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Send `bodies` with `outstanding` under way: how long each took.
    pub async fn run(&self, bodies: &[Bytes], outstanding: usize) -> Result<Vec<Duration>> {
        let next = AtomicUsize::new(0);
        let callers = (0..outstanding).map(|_| self.call(bodies, &next));
        Ok(futures::future::try_join_all(callers).await?.concat())
    }

    async fn call(&self, bodies: &[Bytes], next: &AtomicUsize) -> Result<Vec<Duration>> {
        let mut connection = self.connect().await?;
        let mut took = Vec::new();
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            connection.ready().await?;
            let request = Request::post("/predict")
                .header(header::HOST, "localhost")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))?;
            let answer = connection.send_request(request).await?;
            let status = answer.status();
            let numbers = answer.into_body().collect().await?.to_bytes();
            ensure!(status == StatusCode::OK, "LitServe answers {status}");
            ensure!(numbers.len().is_multiple_of(4) && !numbers.is_empty(), "packed float32");
            took.push(begun.elapsed());
        }
        Ok(took)
    }
}

impl Drop for LitServe {
    fn drop(&mut self) {
        // It may be gone already: then there is nothing to kill.
        let _ = self.signal(Signal::KILL);
        let _ = self.process.wait();
    }
}

/// The body of the request for a JPEG.
pub fn body(jpeg: &Bytes) -> Result<Bytes> {
    let json = serde_json::json!({ "image": STANDARD.encode(jpeg) });
    Ok(serde_json::to_vec(&json).context("JSON")?.into())
}
