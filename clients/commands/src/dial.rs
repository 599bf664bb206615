//! Where calls go: the program knows addresses, TLS and credentials; this crate asks it.

use std::time::Duration;

use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use crate::Failure;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent service is asked whether it lives this often, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A connection to a service.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The connection.
    pub channel: Channel,
    /// What is sent along with each call, such as credentials.
    pub metadata: MetadataMap,
    /// The address, for messages.
    pub url: String,
}

/// Connects to services.
pub trait Dial: Sync {
    /// A connection to the service of this full name, such as `graft.v1.HeadService`; to `endpoint`, if the command line
    /// names one. An empty name is for reflection, which asks any service.
    ///
    /// # Errors
    /// The address is none, or the credentials cannot be had.
    fn dial(&self, service: &str, endpoint: Option<&str>) -> Result<Connection, Failure>;
}

impl<F: Fn(&str, Option<&str>) -> Result<Connection, Failure> + Sync> Dial for F {
    fn dial(&self, service: &str, endpoint: Option<&str>) -> Result<Connection, Failure> {
        self(service, endpoint)
    }
}

/// A connection without TLS and credentials. It is made when it is used.
///
/// # Errors
/// The address is none.
pub fn plain(url: &str) -> Result<Connection, Failure> {
    let wrong = |reason: String| {
        Failure::Input(format!("{url} is no address: {reason}; one such as http://127.0.0.1:7400 is accepted"))
    };
    if !url.starts_with("http://") {
        return Err(wrong("it does not begin with http://".to_owned()));
    }
    let channel = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(error.to_string()))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .connect_lazy();
    Ok(Connection { channel, metadata: MetadataMap::new(), url: url.to_owned() })
}
