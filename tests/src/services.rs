//! Start, watch, kill and restart the real binaries.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use graft_proto::v1::{
    classifier_service_client::ClassifierServiceClient, dataset_service_client::DatasetServiceClient,
    extractor_service_client::ExtractorServiceClient, feedback_service_client::FeedbackServiceClient,
    head_service_client::HeadServiceClient, maintenance_service_client::MaintenanceServiceClient,
    training_service_client::TrainingServiceClient,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Channel, Endpoint};

/// A service that is not ready by then is taken to have failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Messages of more than the services take, so that it is they that refuse.
const MESSAGE_BYTES: usize = 64 << 20;

/// A running `graft-extractor` or `graft-trainer`. Dropping it kills it.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    /// The command that it is run by, if it is run by one.
    under: Vec<String>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    metrics_port: u16,
    child: Child,
    folder: TempDir,
}

/// The folder of the built binaries: two above that of the test that is running, or one above that of the benchmark.
pub fn binaries() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let folder = program.parent().expect("a program is in a folder");
    if folder.ends_with("deps") { folder.parent().expect("deps is in a folder").to_owned() } else { folder.to_owned() }
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the repository")
}

/// The ONNX Runtime that the set-up installed, unless the environment names one.
pub fn onnxruntime() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH")
        .map_or_else(|| root().join("target/onnxruntime/libonnxruntime.so"), PathBuf::from)
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A command for one of the binaries, with no environment that could configure it by accident.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    command.env("ORT_DYLIB_PATH", onnxruntime()).stdin(Stdio::null());
    for variable in ["GRAFT_CONFIG", "GRAFT_CONTEXT", "GRAFT_TOKEN"] {
        command.env_remove(variable);
    }
    // No contexts of whoever runs the tests.
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command
}

impl Service {
    /// Start an extractor with extra flags, and wait until it is ready.
    pub async fn extractor(flags: &[&str]) -> Result<Service> {
        Service::extractor_in(Vec::new(), flags).await
    }

    /// Start an extractor with extra flags and variables, and wait until it is ready.
    pub async fn extractor_in(environment: Vec<(String, String)>, flags: &[&str]) -> Result<Service> {
        let flags = flags.iter().map(|f| (*f).to_owned()).collect();
        Service::start("graft-extractor", Vec::new(), free_port(), flags, environment).await
    }

    /// Start a trainer on `data`, with `extractor`'s address, and wait until it is ready.
    pub async fn trainer(extractor: &str, data: &Path, flags: &[&str]) -> Result<Service> {
        let data = data.display().to_string();
        Service::trainer_in(Vec::new(), extractor, &[&["--data-dir", &data], flags].concat()).await
    }

    /// Start a trainer with extra flags and variables, with `extractor`'s address, and wait until it is ready.
    pub async fn trainer_in(environment: Vec<(String, String)>, extractor: &str, flags: &[&str]) -> Result<Service> {
        let flags = ["--extractor", extractor].iter().chain(flags).map(|f| (*f).to_owned()).collect();
        Service::start("graft-trainer", Vec::new(), free_port(), flags, environment).await
    }

    /// Start a trainer on `data` by the command `under`, which becomes it, and wait until it is ready.
    pub async fn trainer_under(under: Vec<String>, extractor: &str, data: &Path) -> Result<Service> {
        let flags = ["--extractor", extractor, "--data-dir", &data.display().to_string()].map(str::to_owned);
        Service::start("graft-trainer", under, free_port(), flags.to_vec(), Vec::new()).await
    }

    async fn start(
        name: &'static str,
        under: Vec<String>,
        port: u16,
        flags: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> Result<Service> {
        let folder = TempDir::new()?;
        let metrics_port = free_port();
        let child = spawn(name, &under, [port, metrics_port], &flags, &environment, folder.path())?;
        let mut service = Service { name, under, flags, environment, port, metrics_port, child, folder };
        service.wait_ready().await?;
        Ok(service)
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kill it as the kernel would (SIGKILL), and wait until it is gone.
    pub fn kill(&mut self) {
        // It may be gone already: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Start it again on the same port with the same flags, and wait until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let ports = [self.port, self.metrics_port];
        self.child = spawn(self.name, &self.under, ports, &self.flags, &self.environment, self.folder.path())?;
        self.wait_ready().await
    }

    /// Ask it to stop (SIGTERM).
    pub fn tell_to_stop(&self) -> Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed()).context("a process's id")?;
        Ok(kill_process(id, Signal::TERM)?)
    }

    /// Ask it to stop (SIGTERM), and wait for its exit.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.tell_to_stop()?;
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{} did not stop", self.name)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.log());
            }
            if let Ok(channel) = self.endpoint()?.connect().await {
                let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
                let request = tonic_health::pb::HealthCheckRequest::default();
                if health.check(request).await.is_ok_and(|answer| answer.get_ref().status == 1) {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{} is not ready: {}", self.name, self.log())
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its address for other programs.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The host and port of its `/metrics`, `/livez` and `/readyz`.
    pub fn metrics_address(&self) -> String {
        format!("127.0.0.1:{}", self.metrics_port)
    }

    /// The most memory that it ever had in use, in bytes, as the kernel counts it.
    pub fn peak_memory(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// The memory that it has in use, in bytes, as the kernel counts it.
    pub fn resident_memory(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, kind: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(kind)).context("a line of /proc/PID/status")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// The port of its gRPC server.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(self.url())?.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true))
    }

    /// A new connection to it.
    pub async fn channel(&self) -> Result<Channel> {
        self.endpoint()?.connect().await.with_context(|| format!("connecting to {}", self.name))
    }

    /// `GET path` of its admin port: the status line and the body.
    pub async fn http(&self, path: &str) -> Result<String> {
        let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", self.metrics_port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// The sum of all samples of a metric whose labels contain `labels`; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.http("/metrics").await?;
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
        });
        Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(
    name: &str,
    under: &[String],
    [port, metrics_port]: [u16; 2],
    flags: &[String],
    environment: &[(String, String)],
    folder: &Path,
) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = command(name);
    if let Some((program, arguments)) = under.split_first() {
        let service = command.get_program().to_owned();
        command = Command::new(program);
        command.stdin(Stdio::null()).args(arguments).arg(service);
    }
    command
        .args(["--listen", &format!("127.0.0.1:{port}"), "--metrics-listen", &format!("127.0.0.1:{metrics_port}")])
        .args(flags)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}; build it first", binaries().join(name).display()))
}

/// Both services on this machine, and a folder for their data.
#[derive(Debug)]
pub struct Pair {
    /// The extractor.
    pub extractor: Service,
    /// The trainer.
    pub trainer: Service,
    /// The trainer's data directory.
    pub data: TempDir,
}

impl Pair {
    /// Start both with no data.
    pub async fn start() -> Result<Pair> {
        let data = TempDir::new()?;
        let extractor = Service::extractor(&[]).await?;
        let trainer = Service::trainer(&extractor.url(), data.path(), &[]).await?;
        Ok(Pair { extractor, trainer, data })
    }
}

macro_rules! client {
    ($name:ident, $type:ident) => {
        #[doc = concat!("A `", stringify!($type), "` of this service, on a connection of its own.")]
        pub async fn $name(&self) -> Result<$type<Channel>> {
            let client = $type::new(self.channel().await?);
            Ok(client.max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES))
        }
    };
}

impl Service {
    client!(extractor_client, ExtractorServiceClient);
    client!(dataset_client, DatasetServiceClient);
    client!(training_client, TrainingServiceClient);
    client!(head_client, HeadServiceClient);
    client!(classifier_client, ClassifierServiceClient);
    client!(feedback_client, FeedbackServiceClient);
    client!(maintenance_client, MaintenanceServiceClient);
}
