//! `graft up`: both services on this machine, until Ctrl-C.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use graft_client::Graft;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{Done, ended::usage, programs::beside_me, say};

/// How long the services may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a service may take to stop before it is killed; longer than it gives its own calls.
const GRACE: Duration = Duration::from_secs(30);

/// Start both services on this machine.
#[derive(Args)]
pub struct Up {
    /// Where datasets, embeddings and heads are kept.
    #[arg(long, default_value = "graft-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// More backbones for the extractor: a directory, which is made if it is not there, or a prefix of an object store. By
    /// default, `backbones` in the data directory.
    #[arg(long, env = "GRAFT_BACKBONES", value_name = "DIR|URI")]
    backbones: Option<String>,
    /// Let requests name images by URIs below this prefix, such as https://HOST/PATH or file:///DIRECTORY. May be given several times;
    /// none unless told.
    #[arg(long, value_name = "PREFIX")]
    image_uri: Vec<String>,
    /// The trainer's address.
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDRESS")]
    trainer_listen: SocketAddr,
    /// The extractor's address.
    #[arg(long, default_value = "127.0.0.1:7401", value_name = "ADDRESS")]
    extractor_listen: SocketAddr,
    /// The address of the trainer's metrics.
    #[arg(long, default_value = "127.0.0.1:7410", value_name = "ADDRESS")]
    trainer_metrics_listen: SocketAddr,
    /// The address of the extractor's metrics.
    #[arg(long, default_value = "127.0.0.1:7411", value_name = "ADDRESS")]
    extractor_metrics_listen: SocketAddr,
    /// What the services log: error, warn, info, debug or trace.
    #[arg(long, default_value = "warn")]
    log_level: String,
}

/// glibc gives the memory of an unloaded backbone back to the system if allocations of this size, in bytes, are mapped on
/// their own. Left to itself it raises the size to 32 MiB, and keeps the memory.
const MAP_FROM: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

/// A service that cannot listen ends within this time.
const SETTLED: Duration = Duration::from_millis(200);

/// A service that was started.
struct Started {
    name: &'static str,
    child: Child,
}

impl Up {
    pub async fn run(self) -> Result<Done> {
        let all =
            [self.trainer_listen, self.extractor_listen, self.trainer_metrics_listen, self.extractor_metrics_listen];
        if let Some(twice) = all.iter().enumerate().find_map(|(at, one)| all[..at].contains(one).then_some(one)) {
            return Err(usage(format!("{twice} is given for two listeners; each needs an address of its own")));
        }
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (mut extractor, mut trainer) = (self.extractor()?, self.trainer()?);
        let outcome = tokio::select! {
            outcome = self.watch(&mut extractor, &mut trainer) => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        say::note(format_args!("stopping"));
        let (first, second) = tokio::join!(stop(&mut trainer), stop(&mut extractor));
        outcome.and(first).and(second).map(|()| Done::All)
    }

    fn extractor(&self) -> Result<Started> {
        let addresses = [self.extractor_listen, self.extractor_metrics_listen];
        let backbones = self.backbones.clone();
        let backbones = backbones.unwrap_or_else(|| self.data_dir.join("backbones").to_string_lossy().into_owned());
        if !backbones.contains("://") {
            fs::create_dir_all(&backbones).with_context(|| format!("--backbones: {backbones}"))?;
        }
        let mut more = vec!["--backbones", &backbones];
        more.extend(self.image_uri.iter().flat_map(|prefix| ["--image-uri", prefix]));
        start("graft-extractor", addresses, &self.log_level, &more, &[MAP_FROM])
    }

    fn trainer(&self) -> Result<Started> {
        let addresses = [self.trainer_listen, self.trainer_metrics_listen];
        let extractor = format!("http://{}", self.extractor_listen);
        let data = self.data_dir.to_string_lossy();
        start("graft-trainer", addresses, &self.log_level, &["--extractor", &extractor, "--data-dir", &data], &[])
    }

    /// Wait until both are ready, say so, and wait for the end of either: it should not come.
    async fn watch(&self, extractor: &mut Started, trainer: &mut Started) -> Result<()> {
        let urls = [self.trainer_listen, self.extractor_listen].map(|address| format!("http://{address}"));
        let graft = Graft::new(&urls[0], &urls[1])?;
        let ready = async {
            graft.extractor.wait_ready(PATIENCE).await?;
            graft.trainer.wait_ready(PATIENCE).await?;
            // Who could not listen because another is there ends by now: that one is what was asked.
            tokio::time::sleep(SETTLED).await;
            say::note(format_args!(
                "ready: trainer {}, extractor {}, data in {}",
                urls[0],
                urls[1],
                self.data_dir.display()
            ));
            say::note(format_args!(
                "next: graft import NAME PATH, graft train NAME, graft classify NAME FILE; Ctrl-C stops both"
            ));
            std::future::pending::<Result<()>>().await
        };
        tokio::select! {
            failed = ready => failed,
            status = extractor.child.wait() => ended(extractor.name, status),
            status = trainer.child.wait() => ended(trainer.name, status),
        }
    }
}

fn ended(name: &str, status: std::io::Result<ExitStatus>) -> Result<()> {
    bail!("{name} ended ({}); its message is above", status?)
}

fn start(
    name: &'static str,
    [listen, metrics]: [SocketAddr; 2],
    log_level: &str,
    more: &[&str],
    defaults: &[(&str, &str)],
) -> Result<Started> {
    let program = beside_me(name);
    let child = Command::new(&program)
        .args(["--listen", &listen.to_string(), "--metrics-listen", &metrics.to_string(), "--log-level", log_level])
        .args(more)
        .envs(defaults.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()))
        .stdin(Stdio::null())
        // Ctrl-C reaches the whole foreground group; the services are to be stopped by us, in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Started { name, child })
}

async fn stop(service: &mut Started) -> Result<()> {
    let Some(id) = service.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return Ok(()) };
    // SIGTERM lets calls in flight finish.
    let told = kill_process(id, Signal::TERM);
    if told.is_err() || tokio::time::timeout(GRACE, service.child.wait()).await.is_err() {
        say::note(format_args!("{} did not stop; killing it", service.name));
        service.child.kill().await?;
    }
    Ok(())
}
