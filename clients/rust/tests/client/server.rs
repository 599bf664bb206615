//! A gRPC server on a free port, over TLS if need be.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use graft_proto::v1::{
    extractor_service_server::ExtractorServiceServer, maintenance_service_server::MaintenanceServiceServer,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Server as Grpc, server::Connected};

use crate::{
    certificates::{Authority, Certified},
    scripted::Scripted,
};

/// A running server; dropping it ends it and its connections.
pub struct Server {
    pub address: SocketAddr,
    pub scripted: Scripted,
    /// How it proves who it is, from the next connection on.
    pub proof: Arc<Mutex<Arc<ServerConfig>>>,
    _tasks: JoinSet<()>,
}

/// A port that nobody listens on at the moment.
pub fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// A server without TLS.
    pub async fn plain(address: SocketAddr) -> Server {
        let scripted = Scripted::default();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let routes = router(&scripted).serve_with_incoming(TcpListenerStream::new(listener));
        tasks.spawn(async move { drop(routes.await) });
        let nothing = Authority::new();
        Server {
            address,
            scripted,
            proof: Arc::new(Mutex::new(proof(&nothing.certify("unused"), None))),
            _tasks: tasks,
        }
    }

    /// One that proves who it is by `certified`, and asks clients for certificates of `clients`.
    pub async fn tls(certified: &Certified, clients: Option<&Authority>) -> Server {
        let scripted = Scripted::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let current = Arc::new(Mutex::new(proof(certified, clients)));
        let (accepted, incoming) = mpsc::channel(4);
        let mut tasks = JoinSet::new();
        let now = current.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(now.lock().unwrap().clone());
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = accepted.send(Ok::<_, io::Error>(Secured(stream))).await;
                }
            }
        });
        let routes = router(&scripted).serve_with_incoming(ReceiverStream::new(incoming));
        tasks.spawn(async move { drop(routes.await) });
        Server { address, scripted, proof: current, _tasks: tasks }
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }
}

fn router(scripted: &Scripted) -> tonic::transport::server::Router {
    Grpc::builder()
        .add_service(ExtractorServiceServer::new(scripted.clone()))
        .add_service(MaintenanceServiceServer::new(scripted.clone()))
}

/// What a server proves, and asks of its clients.
pub fn proof(certified: &Certified, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        }
    };
    let cert = CertificateDer::from_pem_slice(certified.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let mut config = config.with_single_cert(vec![cert], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A connection that tonic takes.
struct Secured(TlsStream<TcpStream>);

impl Connected for Secured {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
