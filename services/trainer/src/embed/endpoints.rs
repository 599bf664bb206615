//! Where extractors are: URLs, and the addresses that the names in them have at the moment.
//!
//! A name may have many addresses, as that of a headless Kubernetes Service has one for each pod: there is an extractor at each
//! of them. Names are looked up again and again, so extractors may come and go.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Weak,
    time::Duration,
};

use tonic::transport::{Channel, Uri};

use super::pool::Pool;

/// How often names are looked up.
pub const EVERY: Duration = Duration::from_secs(2);
/// How long looking one up may take.
const LOOK_UP: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent extractor is asked whether it lives this often, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What the extractor may send ahead of our reading on one stream, in bytes.
const WINDOW: u32 = 1 << 20;

/// A URL of one extractor, or of as many as its name has addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    /// The URL as it was given.
    text: String,
    host: String,
    port: u16,
}

/// Why there is no such endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL of an extractor.
    #[error("a URL such as http://127.0.0.1:7401 is accepted, or several with commas between them")]
    NotOne,
    /// No connection can be made there.
    #[error("{0}")]
    Transport(#[from] tonic::transport::Error),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotOne)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let host = authority.map_or("", |authority| authority.host()).trim_start_matches('[').trim_end_matches(']');
        if !text.starts_with("http://") || host.is_empty() {
            return Err(EndpointError::NotOne);
        }
        let port = authority.and_then(|authority| authority.port_u16()).unwrap_or(80);
        Ok(Endpoint { host: host.to_owned(), port, text: text.to_owned(), uri })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Endpoint {
    /// Its address, unless it has a name.
    pub fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }

    /// The URL of the extractor at `address`, which is one of its addresses.
    pub fn url_at(&self, address: SocketAddr) -> String {
        if self.address().is_some() { self.text.clone() } else { format!("http://{address}") }
    }

    /// A channel to the extractor at `address`, which is not connected yet.
    ///
    /// # Errors
    /// An address that no URL has, such as one of a link.
    pub fn channel(&self, address: SocketAddr) -> Result<Channel, EndpointError> {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?;
        let endpoint = endpoint
            .origin(self.uri.clone())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(8 * WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_lazy())
    }
}

/// The addresses of a name, as the system knows them.
pub async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// Look the name of endpoint number `index` up, now and `every` so often, as long as there is a pool to be told.
pub async fn follow<L, F>(pool: Weak<Pool>, index: usize, endpoint: Endpoint, every: Duration, look_up: L)
where
    L: Fn(String, u16) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    loop {
        let looked = tokio::time::timeout(LOOK_UP, look_up(endpoint.host.clone(), endpoint.port)).await;
        let Some(pool) = pool.upgrade() else { return };
        match looked.unwrap_or_else(|late| Err(late.into())) {
            Ok(addresses) if !addresses.is_empty() => pool.set(index, addresses),
            // Whoever was there may still be: no answer is no reason to leave them.
            Ok(_) => pool.not_found(index, "it has no address".to_owned()),
            Err(error) => pool.not_found(index, error.to_string()),
        }
        drop(pool);
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_url_with_a_host() {
        let endpoint = |text: &str| text.parse::<Endpoint>();
        let address = |text: &str| endpoint(text).unwrap().address().map(|address| address.to_string());
        assert_eq!(address("http://127.0.0.1:7401").unwrap(), "127.0.0.1:7401");
        assert_eq!(address("http://[::1]:7401").unwrap(), "[::1]:7401");
        assert_eq!(address("http://10.0.0.1").unwrap(), "10.0.0.1:80");
        assert_eq!(address("http://extractor:7401"), None);
        let named = endpoint("http://extractor:7401").unwrap();
        assert_eq!((named.host.as_str(), named.port), ("extractor", 7401));
        let at = "10.0.0.7:7401".parse().unwrap();
        assert_eq!(named.url_at(at), "http://10.0.0.7:7401");
        for bad in ["", "not a url", "extractor:7401", "https://extractor:7401", "http://", "http://me:secret@host:1"] {
            assert!(endpoint(bad).unwrap_err().to_string().contains("http://127.0.0.1:7401"), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let addresses = look_up("localhost".into(), 7401).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 7401), "{addresses:?}");
    }
}
