//! The extractor's configuration: each flag is `GRAFT_EXTRACTOR_…` in the environment and an entry of the file.

use std::{env, net::SocketAddr, path::PathBuf, sync::Arc, thread::available_parallelism, time::Duration};

use clap::{Args, Parser, Subcommand, value_parser};
use graft_chassis::config::CommonArgs;
use graft_pull::{Allowed, MAX_MODEL_BYTES, allowed::error::PrefixError, place::Environment};

use crate::{
    backbone::{
        provider::{Provider, Providers},
        repository::folder::Terms,
    },
    cache::EmbeddingCache,
    decode::Limits,
    engines::memory,
    fetch::{Bounds, Fetcher},
    layout::Defaults,
};

/// Run frozen ImageNet backbones and stream the embeddings of images over gRPC.
#[derive(Parser, Clone, Debug)]
#[command(name = "graft-extractor", version)]
pub struct Config {
    /// The address to serve gRPC on.
    #[arg(long, default_value = "127.0.0.1:7401", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The address to serve /metrics, /livez and /readyz on.
    #[arg(long, default_value = "127.0.0.1:7411", value_name = "ADDRESS")]
    pub metrics_listen: SocketAddr,

    /// The ONNX Runtime library. Unless told: ORT_DYLIB_PATH, else libonnxruntime.so beside this program, in ../lib or in
    /// ../onnxruntime.
    #[arg(long, value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,

    /// More backbones: a directory, or a prefix of an object store (s3://, gs://, az://, https:// with WebDAV), with a folder
    /// each that holds a manifest and a model file. Changes are noticed. Stores take their credentials from AWS_…,
    /// GOOGLE_… and AZURE_… variables.
    #[arg(long, value_name = "DIR|URI")]
    pub backbones: Option<String>,

    /// Seconds between two looks at the backbones.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=3600), value_name = "SECONDS")]
    pub backbone_poll_seconds: u16,

    /// Mebibytes that loaded backbones may take, weights and batches; 0 for half of this machine's memory. Those that were
    /// not used for the longest time are unloaded for others.
    #[arg(long, default_value_t = 0, value_name = "MIB")]
    pub backbone_memory_mib: u32,

    /// The backbone of requests that name none. It is loaded before the extractor is ready, others on first use.
    #[arg(long, default_value = "efficientnet-lite0", value_name = "NAME")]
    pub default_backbone: String,

    /// What runs the networks, unless a manifest says otherwise. One that is not there is an error, never a silent fall back.
    #[arg(long, value_enum, default_value = "cpu")]
    pub provider: Provider,

    /// Where TensorRT keeps the engines that it makes, which takes minutes. Unless told: graft/tensorrt in XDG_CACHE_HOME or
    /// ~/.cache.
    #[arg(long, value_name = "DIR")]
    pub tensorrt_cache: Option<PathBuf>,

    /// Images that are taken and answered together, at the most; on a GPU, and for interactive work, also those of one run.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=1024), value_name = "IMAGES")]
    pub max_batch: u16,

    /// Cores to use; 0 for all.
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u16).range(0..=1024), value_name = "CORES")]
    pub threads: u16,

    /// Images of one stream that may be unanswered or unread, before no more are read from it.
    #[arg(long, default_value_t = 128, value_parser = value_parser!(u16).range(1..=8192), value_name = "IMAGES")]
    pub stream_window: u16,

    /// Streams that may be open at once, and as many calls of the Open Inference Protocol.
    #[arg(long, default_value_t = 4096, value_parser = value_parser!(u32).range(1..=65536), value_name = "STREAMS")]
    pub max_streams: u32,

    /// Mebibytes of images that may wait, for each backbone and class of work.
    #[arg(long, default_value_t = 128, value_parser = value_parser!(u32).range(16..=65536), value_name = "MIB")]
    pub queue_mib: u32,

    /// Mebibytes of embeddings to keep, of images that may come again; 0 for none. What is asked for often stays.
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u32).range(0..=1 << 20), value_name = "MIB")]
    pub embedding_cache_mib: u32,

    /// The largest encoded image, in bytes.
    #[arg(long, default_value_t = 16 << 20, value_parser = value_parser!(u32).range(1..=16 << 20), value_name = "BYTES")]
    pub max_image_bytes: u32,

    /// The most pixels of an image, known from its header before anything is decoded.
    #[arg(long, default_value_t = 50_000_000, value_parser = value_parser!(u32).range(1..=268_435_456), value_name = "PIXELS")]
    pub max_image_pixels: u32,

    /// Let requests name images by URIs below this prefix: file:///DIRECTORY, https://HOST/PATH, http://HOST/PATH,
    /// s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH. May be given several times, or several with commas
    /// between them; none unless told. Nothing else is asked, redirects are not followed, and proxies not used.
    #[arg(long, value_delimiter = ',', value_name = "PREFIX")]
    pub image_uri: Vec<String>,

    /// Seconds that an image may take to be fetched.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u16).range(1..=600), value_name = "SECONDS")]
    pub image_uri_seconds: u16,

    /// Images that are fetched at once, one stream at most a quarter of them. Each may take --max-image-bytes of memory.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u16).range(1..=4096), value_name = "IMAGES")]
    pub image_uri_fetches: u16,

    /// What all services have.
    #[command(flatten)]
    pub common: CommonArgs,

    /// What is done instead of serving.
    #[command(subcommand)]
    pub instead: Option<Instead>,
}

/// What may be done instead of serving.
#[derive(Subcommand, Clone, Debug)]
pub enum Instead {
    /// Measure thread layouts and batches of a backbone, and print a line of JSON for each and for the best.
    BenchBackbone(BenchBackbone),
    /// Print a line of JSON: the ONNX Runtime that would be loaded, and which providers can be used in it.
    CheckRuntime,
}

/// What is measured.
#[derive(Args, Clone, Debug)]
pub struct BenchBackbone {
    /// The backbone's name.
    pub name: String,
    /// Seconds that all measurements may take together, about.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u16).range(1..=3600), value_name = "SECONDS")]
    pub seconds: u16,
}

impl Config {
    /// What loaded backbones may take, in bytes.
    pub fn backbone_memory(&self) -> u64 {
        match self.backbone_memory_mib {
            0 => memory::machine() / 2,
            mebibytes => u64::from(mebibytes) << 20,
        }
    }

    /// Where embeddings are kept, if they are.
    pub fn embedding_cache(&self) -> Option<Arc<EmbeddingCache>> {
        let bytes = u64::from(self.embedding_cache_mib) << 20;
        (bytes > 0).then(|| Arc::new(EmbeddingCache::new(bytes)))
    }

    /// What fetches images by URI, if any may be. Directories are opened, and object stores' settings read from
    /// `environment`.
    pub fn fetcher(&self, environment: &Environment) -> Result<Option<Arc<Fetcher>>, PrefixError> {
        if self.image_uri.is_empty() {
            return Ok(None);
        }
        let allowed = Allowed::new(&self.image_uri, environment)?;
        let bounds = Bounds {
            bytes: u64::from(self.max_image_bytes),
            time: Duration::from_secs(u64::from(self.image_uri_seconds)),
            fetches: usize::from(self.image_uri_fetches),
        };
        Ok(Some(Arc::new(Fetcher::new(allowed, bounds))))
    }

    /// What a repository's folders are read with. A model that is larger than all memory for backbones need not be read.
    /// `providers` are those of the ONNX Runtime.
    pub fn terms(&self, providers: Providers) -> Terms {
        let memory = self.backbone_memory();
        let (max_model_bytes, limit_from) = if memory < MAX_MODEL_BYTES {
            (memory, " (--backbone-memory-mib)")
        } else {
            (MAX_MODEL_BYTES, " by protobuf")
        };
        Terms { provider: self.provider, providers, max_model_bytes, limit_from }
    }

    /// How engines are laid out, but for what manifests say.
    pub fn defaults(&self) -> Defaults {
        let cores = available_parallelism().map_or(1, usize::from);
        Defaults {
            cores: if self.threads == 0 { cores } else { usize::from(self.threads) },
            max_batch: usize::from(self.max_batch),
            queue_bytes: self.queue_mib as usize * (1 << 20),
            limits: Limits {
                bytes: self.max_image_bytes as usize,
                pixels: u64::from(self.max_image_pixels),
                ..Limits::default()
            },
            provider: self.provider,
            tensorrt_cache: Some(self.tensorrt_cache.clone().unwrap_or_else(tensorrt_cache)),
        }
    }
}

/// Where TensorRT's engines are kept unless told.
fn tensorrt_cache() -> PathBuf {
    let folder = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("graft/tensorrt")
}
