//! The HTTP port for those who operate the service: `/metrics`, `/livez`, `/readyz`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::{
    metrics::Metrics,
    serve::{ServeError, bind},
};

/// How often the recorder folds its histograms, so that they do not grow when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Whether the service takes work; shared between the gRPC health service and `/readyz`.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Say that the service takes work, or no longer does.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether the service takes work.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serve the admin port from now on, in the background, until the process ends.
pub async fn spawn(address: SocketAddr, metrics: Metrics, ready: Ready) -> Result<(), ServeError> {
    let listener = bind("metrics-listen", address).await?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let routes = Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(async move || metrics.render()));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the admin port stopped");
        }
    });
    Ok(())
}

async fn readyz(State(ready): State<Ready>) -> (StatusCode, &'static str) {
    if ready.get() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
