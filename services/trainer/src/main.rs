//! `graft-trainer`: reads its configuration, opens its state, serves until it is told to stop, drains.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use graft_chassis::{
    admin::{self, Ready},
    config::{self, EXIT_BAD_CONFIG},
    serve::{self, MESSAGE_BYTES},
    telemetry,
};
use graft_inference::Inference;
use graft_proto::{
    inference::grpc_inference_service_server::GrpcInferenceServiceServer,
    v1::{
        classifier_service_server::ClassifierServiceServer, dataset_service_server::DatasetServiceServer,
        feedback_service_server::FeedbackServiceServer, head_service_server::HeadServiceServer,
        maintenance_service_server::MaintenanceServiceServer, training_service_server::TrainingServiceServer,
    },
};
use graft_trainer::{
    classify::{
        Answerer, HeadCache, Pool,
        traffic::{Traffic, watch::watch},
    },
    compare::Comparer,
    config::Config,
    embed::Extractor,
    garbage::Garbage,
    runs::Runs,
    service::{
        classifier::Classifier,
        datasets::Datasets,
        feedback::Feedback,
        heads::Heads,
        inference::{self, HeadModels},
        maintenance::Maintenance,
        runs::Training,
    },
    store::{OpenError, Store},
};
use tikv_jemallocator::Jemalloc;
use tonic::{server::NamedService, service::Routes};

/// Weights of thousands of heads lie in pages of 2 MiB, as `.cargo/config.toml` has it: walking them in pages of 4 KiB takes a
/// third more time.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = match config::load("GRAFT_TRAINER") {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    if let Err(error) = telemetry::log(config.common.log_format, &config.common.log_level) {
        eprintln!("error: log-level: {error}");
        return ExitCode::from(EXIT_BAD_CONFIG);
    }
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let bad = error.downcast_ref::<OpenError>().is_some_and(OpenError::is_bad_configuration);
            ExitCode::from(if bad { EXIT_BAD_CONFIG } else { 1 })
        }
    }
}

async fn run(config: Config) -> Result<()> {
    let stop = serve::stop_signal()?;
    let metrics = telemetry::record()?;
    let ready = Ready::default();
    let listener = serve::bind("listen", config.listen).await?;
    admin::spawn(config.metrics_listen, metrics.clone(), ready.clone()).await?;

    let store = Store::open_at(&config.location(graft_pull::place::environment())).await?;
    let extractor = Extractor::new(&config.extractor).context("extractor")?;
    let training_bytes = config.training_mib as usize * (1 << 20);
    let runs = Runs::start(store.clone(), training_bytes, stop.clone()).await?;
    let comparer = Comparer::new(store.clone(), training_bytes);
    let garbage = Garbage::new(store.clone());
    if config.gc_minutes > 0 {
        garbage.every(Duration::from_secs(u64::from(config.gc_minutes) * 60), stop.clone());
    }
    let traffic = Traffic::default();
    tokio::spawn(watch(traffic.clone(), metrics));
    let heads = HeadCache::new(store.clone(), config.head_cache_mib as usize * (1 << 20), traffic.clone());

    macro_rules! sized {
        ($server:ident, $service:expr) => {
            $server::new($service).max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES)
        };
    }
    let datasets = Datasets::new(store.clone(), extractor.clone(), config.max_imports as usize);
    let (calls, streams) = (config.max_classify_calls as usize, config.max_classify_streams as usize);
    let inference = inference::service(heads.clone(), extractor.clone(), calls, streams, ready.clone());
    let answerer = Answerer::new(heads.clone(), Pool::start().context("threads")?);
    let feedback = Feedback::new(store.clone(), extractor.clone(), calls, training_bytes);
    let classifier = Classifier::new(answerer, extractor.clone(), calls, streams);
    let routes = Routes::new(sized!(DatasetServiceServer, datasets))
        .add_service(sized!(TrainingServiceServer, Training::new(store.clone(), runs.clone())))
        .add_service(sized!(HeadServiceServer, Heads::new(store, heads, comparer, extractor, traffic)))
        .add_service(sized!(FeedbackServiceServer, feedback))
        .add_service(sized!(MaintenanceServiceServer, Maintenance::new(garbage)))
        .add_service(sized!(ClassifierServiceServer, classifier))
        .add_service(sized!(GrpcInferenceServiceServer, inference));
    let services = [
        DatasetServiceServer::<Datasets>::NAME,
        TrainingServiceServer::<Training>::NAME,
        HeadServiceServer::<Heads>::NAME,
        FeedbackServiceServer::<Feedback>::NAME,
        MaintenanceServiceServer::<Maintenance>::NAME,
        ClassifierServiceServer::<Classifier>::NAME,
        GrpcInferenceServiceServer::<Inference<HeadModels>>::NAME,
    ];
    let grace = Duration::from_secs(config.common.drain_seconds);
    serve::serve(listener, routes, &services, &config.common.cors_origin, ready, stop, grace).await?;
    runs.stopped().await;
    Ok(())
}
