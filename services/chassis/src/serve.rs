//! Binds, serves gRPC (and the same over HTTP and JSON) with health and reflection, and drains on SIGTERM or Ctrl-C.

use std::{io, net::SocketAddr, time::Duration};

use graft_web::{Origin, WebLayer};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::ServingStatus;
use tower::util::MapResponseLayer;

use crate::{admin::Ready, calls::CountCallsLayer, methods::Methods, version};

/// The largest message that the services take or send, in bytes: 16 MiB of payload and room for what is around it.
pub const MESSAGE_BYTES: usize = (16 << 20) + (64 << 10);

/// What a sender may have under way on one stream before it must wait, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Streams that one connection may have open.
const STREAMS_A_CONNECTION: u32 = 1024;
/// A peer that is silent this long is asked whether it lives, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What every service serves beside its own.
const ALWAYS: &[&str] =
    &["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
/// The contracts of all that is served.
const DESCRIPTORS: &[&[u8]] = &[
    graft_proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Why a service does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be bound.
    #[error("{flag}: cannot listen on {address}: {source}{hint}")]
    Bind {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The server broke off.
    #[error("the gRPC server stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Signals cannot be listened for, or the like.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The descriptor set is not one; a fault of the build. As are the next two.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// For metrics.
    #[error("methods: {0}")]
    Methods(#[from] prost::DecodeError),
    /// For callers in JSON.
    #[error("web: {0}")]
    Web(#[from] graft_web::DescriptorError),
}

/// Bind `address`, which the flag `flag` names.
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "; another process has this port: stop it, or choose another port",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: choose a higher one",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        ServeError::Bind { flag, address, source, hint }
    })
}

/// Serve `routes`, which are those of `services` (full names), health and reflection on `listener` until `stop` is cancelled, then give the calls in flight
/// `grace` to finish. Pages of `origins` may call too.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    services: &[&str],
    origins: &[Origin],
    ready: Ready,
    stop: CancellationToken,
    grace: Duration,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let served: Vec<&str> = [services, ALWAYS].concat();
    // Older tools ask by the name that reflection had before it was finished.
    let (reflection, reflection_alpha) = (reflect(&served).build_v1()?, reflect(&served).build_v1alpha()?);
    let routes = routes.add_service(health_service).add_service(reflection).add_service(reflection_alpha);
    let methods = Methods::of(DESCRIPTORS, &served)?;
    let web = WebLayer::new(DESCRIPTORS, &served, origins, MESSAGE_BYTES)?;
    for service in services {
        health.set_service_status(*service, ServingStatus::Serving).await;
    }
    // HTTP/1.1 has no pings: the system asks whether such peers live.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE));
    let serving = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_A_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .accept_http1(true)
        // Outermost: what is within sees gRPC alone.
        .layer(web)
        .layer(CountCallsLayer(methods))
        .layer(MapResponseLayer::new(version::tell))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());

    ready.set(true);
    tracing::info!(%address, "ready");
    let overdue = async {
        stop.cancelled().await;
        ready.set(false);
        for service in services.iter().chain(&[""]) {
            health.set_service_status(*service, ServingStatus::NotServing).await;
        }
        tracing::info!(grace_seconds = grace.as_secs(), "draining: no new calls, those in flight may finish");
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = serving => served?,
        () = overdue => tracing::warn!("the grace period is over: the calls still in flight are broken off"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Reflection of the services of these names, and no others.
fn reflect<'a>(services: &[&'a str]) -> tonic_reflection::server::Builder<'a> {
    let described = DESCRIPTORS.iter().fold(tonic_reflection::server::Builder::configure(), |builder, set| {
        builder.register_encoded_file_descriptor_set(set)
    });
    services.iter().fold(described, |builder, service| builder.with_service_name(*service))
}

/// A token that is cancelled by SIGTERM or Ctrl-C.
pub fn stop_signal() -> Result<CancellationToken, ServeError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopper.cancel();
    });
    Ok(stop)
}
