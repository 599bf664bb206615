//! Connections: made when they are needed, and again when they are lost.

use std::{io, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use super::{address::Address, tls::Tls};
use crate::Error;

/// How long a connection may take to be made, its handshake included.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent service is asked whether it lives this often, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A channel to `address`. Nothing is connected yet; what is wrong with the files of `tls` shows now.
pub fn channel(address: &Address, tls: &Tls) -> Result<Channel, Error> {
    if !address.tls {
        return Ok(endpoint(address)?.connect_lazy());
    }
    tls.load()?;
    tls.name(&address.host)?;
    let origin: Uri = format!("https://{}", address.authority).parse().map_err(|error| wrong(address, &error))?;
    let (address, tls) = (Arc::new(address.clone()), Arc::new(tls.clone()));
    let endpoint = endpoint(&address)?.origin(origin);
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| dial(address.clone(), tls.clone()))))
}

fn wrong(address: &Address, error: &dyn std::error::Error) -> Error {
    Error::Address { url: address.url.clone(), reason: error.to_string() }
}

fn endpoint(address: &Address) -> Result<Endpoint, Error> {
    // TLS is ours: to the channel, the connection is a plain one.
    let endpoint = Endpoint::from_shared(format!("http://{}", address.authority));
    Ok(endpoint
        .map_err(|error| wrong(address, &error))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE))
}

async fn dial(address: Arc<Address>, tls: Arc<Tls>) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let name = tls.name(&address.host).map_err(io::Error::other)?;
    let config = tokio::task::spawn_blocking(move || tls.load()).await?.map_err(io::Error::other)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(explained)?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("it does not speak HTTP/2 over TLS, which gRPC needs"));
    }
    Ok(TokioIo::new(stream))
}

/// A failed handshake, with what to do about it where that is known.
fn explained(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let hint = match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "the authority of its certificate is not trusted; `ca-file` names one's own"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "its certificate is for another name; `server-name` tells which to expect",
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS; is it an http:// address?",
        Some(rustls::Error::AlertReceived(_)) => {
            "it refused the handshake; `cert-file` and `key-file` give it a certificate of this client"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {hint}"))
}
