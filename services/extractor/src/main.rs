//! `graft-extractor`: reads its configuration, builds the parts, serves until it is told to stop, drains.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use graft_chassis::{
    admin::{self, Ready},
    config::{self, EXIT_BAD_CONFIG},
    serve::{self, MESSAGE_BYTES},
    telemetry,
};
use graft_extractor::{
    backbone::{
        built_in,
        catalogue::Catalogue,
        repository::{listing::Repository, scan::Scanner, watch::Watch},
        session::Runtime,
    },
    config::Config,
    engines::Engines,
    fetch::Fetcher,
    inference::Inference,
    onnxruntime,
    service::Extractor,
};
use graft_proto::{
    inference::grpc_inference_service_server::GrpcInferenceServiceServer,
    v1::extractor_service_server::ExtractorServiceServer,
};
use graft_pull::place;
use tonic::{server::NamedService, service::Routes};

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = match config::load("GRAFT_EXTRACTOR") {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    let (engines, fetcher, watch) = match build(&config).await {
        Ok(built) => built,
        Err(error) => return fail(&error, EXIT_BAD_CONFIG),
    };
    match run(config, engines, fetcher, watch).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Everything that only the configuration decides.
async fn build(config: &Config) -> Result<(Engines, Option<Arc<Fetcher>>, Option<Watch>)> {
    telemetry::log(config.common.log_format, &config.common.log_level).context("log-level")?;
    let fetcher = config.fetcher(&place::environment()).context("image-uri")?;
    let library = onnxruntime::locate(config.onnxruntime.as_deref())?;
    let runtime = Runtime::load(&library)?;
    runtime.require(config.provider).context("provider")?;
    tracing::info!(library = %library.display(), version = runtime.version(), "ONNX Runtime loaded");
    let watch = repository(config).await.context("backbones")?;
    let catalogue = match &watch {
        Some(watch) => watch.catalogue(),
        None => Catalogue::new(built_in::found(config.provider)?, &config.default_backbone),
    };
    catalogue.get("").context("default-backbone")?;
    Ok((Engines::new(catalogue, runtime, config.layout(), config.backbone_memory()), fetcher, watch))
}

/// The repository of backbones, scanned once.
async fn repository(config: &Config) -> Result<Option<Watch>> {
    let Some(location) = &config.backbones else { return Ok(None) };
    let place = place::open_folder(location, &place::environment())?;
    let mut scanner = Scanner::new(Repository::new(place), config.terms());
    scanner.scan().await?;
    Ok(Some(Watch {
        scanner,
        built_in: built_in::found(config.provider)?,
        default: config.default_backbone.clone(),
        every: Duration::from_secs(u64::from(config.backbone_poll_seconds)),
    }))
}

async fn run(config: Config, engines: Engines, fetcher: Option<Arc<Fetcher>>, watch: Option<Watch>) -> Result<()> {
    let stop = serve::stop_signal()?;
    let metrics = telemetry::record()?;
    let ready = Ready::default();
    let listener = serve::bind("listen", config.listen).await?;
    admin::spawn(config.metrics_listen, metrics, ready.clone()).await?;

    let engines = Arc::new(engines);
    engines.start_default().await.map_err(|status| anyhow::anyhow!(status.message().to_owned()))?;
    if let Some(watch) = watch {
        tokio::spawn(watch.run(engines.clone()));
    }
    let calls = config.max_streams as usize;
    let cache = config.embedding_cache();
    let extractor = Extractor::new(engines.clone(), cache.clone(), fetcher, calls, usize::from(config.stream_window));
    let inference = Inference::new(engines, cache, calls, ready.clone());
    let extractor = ExtractorServiceServer::new(extractor)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let inference = GrpcInferenceServiceServer::new(inference)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let routes = Routes::new(extractor).add_service(inference);
    let grace = Duration::from_secs(config.common.drain_seconds);
    let services = [ExtractorServiceServer::<Extractor>::NAME, GrpcInferenceServiceServer::<Inference>::NAME];
    serve::serve(listener, routes, &services, ready, stop, grace).await?;
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
