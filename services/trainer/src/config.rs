//! The trainer's configuration: each flag is `GRAFT_TRAINER_…` in the environment and an entry of the file.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, value_parser};
use graft_chassis::config::CommonArgs;
use tonic::transport::Endpoint;

/// Keep labelled examples, fit classifier heads on their embeddings and serve the heads over gRPC.
#[derive(Parser, Clone, Debug)]
#[command(name = "graft-trainer", version)]
pub struct Config {
    /// The address to serve gRPC on.
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The address to serve /metrics, /livez and /readyz on.
    #[arg(long, default_value = "127.0.0.1:7410", value_name = "ADDRESS")]
    pub metrics_listen: SocketAddr,

    /// Where the extractor is.
    #[arg(long, default_value = "http://127.0.0.1:7401", value_name = "URL", value_parser = endpoint)]
    pub extractor: String,

    /// Where datasets, embeddings and heads are kept. One trainer at a time.
    #[arg(long, default_value = "graft-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Mebibytes of heads kept ready to serve; the least recently used make room.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=1_048_576), value_name = "MIB")]
    pub head_cache_mib: u32,

    /// Mebibytes of embeddings that a training run may hold in memory; a run that needs more is refused.
    #[arg(long, default_value_t = 8192, value_parser = value_parser!(u32).range(1..=16_777_216), value_name = "MIB")]
    pub training_mib: u32,

    /// Imports that may be under way at once.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..=65536), value_name = "STREAMS")]
    pub max_imports: u32,

    /// Single classifications that may be under way at once.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=65536), value_name = "CALLS")]
    pub max_classify_calls: u32,

    /// Streams of classifications that may be open at once.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=65536), value_name = "STREAMS")]
    pub max_classify_streams: u32,

    /// What all services have.
    #[command(flatten)]
    pub common: CommonArgs,
}

fn endpoint(text: &str) -> Result<String, String> {
    let fine = text.starts_with("http://") && Endpoint::from_shared(text.to_owned()).is_ok();
    if fine { Ok(text.to_owned()) } else { Err("a URL such as http://127.0.0.1:7401 is accepted".into()) }
}
