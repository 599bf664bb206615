//! An HTTP client that goes where it is told and nowhere else: it follows no redirect and asks no proxy.

use std::time::Duration;

use object_store::{
    ClientConfigKey, ClientOptions,
    client::{HttpClient, HttpConnector},
};
use reqwest::{Client, redirect::Policy};

/// The other side must answer a connection by then.
const CONNECT: Duration = Duration::from_secs(5);
/// It must not be silent for longer.
const SILENCE: Duration = Duration::from_secs(30);

/// Gives object stores such a client.
#[derive(Clone, Copy, Debug)]
pub struct Direct;

/// Such a client. `plain` allows http beside https.
pub fn client(plain: bool) -> Result<Client, reqwest::Error> {
    // The client panics without one. An earlier one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .https_only(!plain)
        .referer(false)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("graft/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl HttpConnector for Direct {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|allowed| allowed == "true");
        let client = client(plain)
            .map_err(|source| object_store::Error::Generic { store: "HTTP client", source: Box::new(source) })?;
        Ok(HttpClient::new(client))
    }
}
