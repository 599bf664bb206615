//! `graft-extractor`: reads its configuration, builds the parts, serves until it is told to stop, drains.

use std::{
    io::{Write, stdout},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

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
    bench::Bench,
    config::{BenchBackbone, Config, Instead},
    doctor,
    engines::Engines,
    fetch::Fetcher,
    inference::{self, Backbones},
    onnxruntime,
    service::Extractor,
};
use graft_inference::Inference;
use graft_proto::{
    inference::grpc_inference_service_server::GrpcInferenceServiceServer,
    v1::{Backbone, extractor_service_server::ExtractorServiceServer},
};
use graft_pull::place;
use tonic::{server::NamedService, service::Routes};

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = match config::load("GRAFT_EXTRACTOR") {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    if let Some(Instead::CheckRuntime) = config.instead {
        return match check_runtime(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, EXIT_BAD_CONFIG),
        };
    }
    let parts = match parts(&config).await {
        Ok(parts) => parts,
        Err(error) => return fail(&error, EXIT_BAD_CONFIG),
    };
    let done = match config.instead.clone() {
        Some(Instead::BenchBackbone(wanted)) => bench(&config, &parts, &wanted).await,
        Some(Instead::CheckRuntime) | None => run(config, parts).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// What only the configuration decides.
struct Parts {
    runtime: Runtime,
    fetcher: Option<Arc<Fetcher>>,
    catalogue: Catalogue,
    watch: Option<Watch>,
}

async fn parts(config: &Config) -> Result<Parts> {
    telemetry::log(config.common.log_format, &config.common.log_level).context("log-level")?;
    let fetcher = config.fetcher(&place::environment()).context("image-uri")?;
    let library = onnxruntime::locate(config.onnxruntime.as_deref())?;
    let runtime = Runtime::load(&library)?;
    runtime.require(config.provider).context("provider")?;
    tracing::info!(library = %library.display(), version = runtime.version(), "ONNX Runtime loaded");
    let watch = repository(config, &runtime).await.context("backbones")?;
    let catalogue = match &watch {
        Some(watch) => watch.catalogue(),
        None => Catalogue::new(built_in::found(config.provider)?, &config.default_backbone),
    };
    if config.instead.is_none() {
        let default = catalogue.get("").context("default-backbone")?;
        runtime.require(default.run().execution(config.provider).provider).context("default-backbone")?;
    }
    Ok(Parts { runtime, fetcher, catalogue, watch })
}

/// The repository of backbones, scanned once.
async fn repository(config: &Config, runtime: &Runtime) -> Result<Option<Watch>> {
    let Some(location) = &config.backbones else { return Ok(None) };
    let place = place::open_folder(location, &place::environment())?;
    let mut scanner = Scanner::new(Repository::new(place), config.terms(runtime.providers()));
    scanner.scan().await?;
    Ok(Some(Watch {
        scanner,
        built_in: built_in::found(config.provider)?,
        default: config.default_backbone.clone(),
        every: Duration::from_secs(u64::from(config.backbone_poll_seconds)),
    }))
}

async fn run(config: Config, parts: Parts) -> Result<()> {
    let Parts { runtime, fetcher, catalogue, watch } = parts;
    let engines = Engines::new(catalogue, runtime, config.defaults(), config.backbone_memory());
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
    let inference = inference::service(engines, cache, calls, ready.clone());
    let extractor = ExtractorServiceServer::new(extractor)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let inference = GrpcInferenceServiceServer::new(inference)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let routes = Routes::new(extractor).add_service(inference);
    let grace = Duration::from_secs(config.common.drain_seconds);
    let services =
        [ExtractorServiceServer::<Extractor>::NAME, GrpcInferenceServiceServer::<Inference<Backbones>>::NAME];
    serve::serve(listener, routes, &services, &config.common.cors_origin, ready, stop, grace).await?;
    Ok(())
}

/// Measure a backbone: a line of JSON for each layout, and one for the best.
async fn bench(config: &Config, parts: &Parts, wanted: &BenchBackbone) -> Result<()> {
    let Parts { runtime, catalogue, .. } = parts;
    let listed = catalogue.get(&wanted.name)?;
    let entry = &listed.load(config.provider).await?;
    let (defaults, memory) = (&config.defaults(), config.backbone_memory());
    let time = Duration::from_secs(u64::from(wanted.seconds));
    let bench = Bench { runtime, listed, entry, defaults, memory, time };
    let say = |line: serde_json::Value| writeln!(stdout(), "{line}");
    let chosen = tokio::task::block_in_place(|| {
        // Whoever does not read the lines has the last one or nothing.
        bench.run(|measured| drop(say(serde_json::json!({ "measured": measured }))))
    })?;
    let Backbone { name, space, provider, .. } = &entry.description;
    say(serde_json::json!({ "backbone": name, "space": space, "provider": provider, "chosen": chosen }))?;
    Ok(())
}

fn check_runtime(config: &Config) -> Result<()> {
    let found = doctor::check(config.onnxruntime.as_deref())?;
    writeln!(stdout(), "{}", serde_json::to_string(&found)?)?;
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
