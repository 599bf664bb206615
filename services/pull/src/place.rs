//! An object store, opened by its URL, with the credentials of the environment.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, http::HttpBuilder, local::LocalFileSystem, path::Path,
};
use url::{Position, Url};

use crate::{direct::Direct, error::PullError, source::Source};

/// The clients' own limits. A whole file may take long; silence may not.
const OPTIONS: [(&str, &str); 3] =
    [("connect_timeout", "10 seconds"), ("read_timeout", "60 seconds"), ("timeout", "86400 seconds")];

/// Variables of the environment, such as `AWS_ACCESS_KEY_ID`.
pub type Environment = Vec<(String, String)>;

/// This process's variables; those that are no text are nobody's.
pub fn environment() -> Environment {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// A place in an object store.
#[derive(Clone, Debug)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The object, or the prefix.
    pub path: Path,
    /// How a person would name it.
    pub uri: String,
    /// The directory, if it is one on this machine.
    pub directory: Option<PathBuf>,
}

/// Open the object or prefix at `url`. `environment` may hold the credentials and the endpoint, named as the store's own
/// tools name them: `AWS_…`, `GOOGLE_…`, `AZURE_…`.
pub fn open(url: &Url, environment: &Environment) -> Result<Place, PullError> {
    open_by(url, environment, Way::Any)
}

/// The same by a client that follows no redirect and asks no proxy.
pub fn open_directly(url: &Url, environment: &Environment) -> Result<Place, PullError> {
    open_by(url, environment, Way::Direct)
}

/// How a store is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As it and the environment say.
    Any,
    /// By a [direct](crate::direct) client.
    Direct,
}

fn open_by(url: &Url, environment: &Environment, way: Way) -> Result<Place, PullError> {
    // The client panics without one. An earlier one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: object_store::Error| PullError::Failed { uri: url.to_string(), reason: error.to_string() };
    let (scheme, path) = ObjectStoreScheme::parse(url).map_err(|error| failed(error.into()))?;
    let store = build(&scheme, url, environment, way).map_err(failed)?;
    Ok(Place { store, path, uri: url.to_string(), directory: None })
}

/// Open a directory of this machine or a prefix of an object store.
pub fn open_folder(location: &str, environment: &Environment) -> Result<Place, PullError> {
    let refused = |reason: &str| PullError::Source { given: location.to_owned(), reason: reason.to_owned() };
    match location.parse()? {
        Source::File(path) => {
            fs::read_dir(&path).map_err(PullError::file(&path))?;
            let store = LocalFileSystem::new_with_prefix(&path)
                .map_err(|error| PullError::Failed { uri: location.to_owned(), reason: error.to_string() })?;
            let uri = location.trim_end_matches('/').to_owned();
            Ok(Place { store: Arc::new(store), path: Path::default(), uri, directory: Some(path) })
        }
        Source::Object(url) => open(&url, environment),
        Source::Hub(_) => Err(refused("the hub holds models, not repositories of backbones")),
    }
}

/// Pour options into a builder; names that it does not know are not for it.
macro_rules! configured {
    ($builder:expr, $options:expr, $way:expr) => {{
        let builder = $options
            .fold($builder, |builder, (key, value)| match key.to_ascii_lowercase().parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            })
            .with_retry(retry());
        let builder = match $way {
            Way::Any => builder,
            Way::Direct => builder.with_http_connector(Direct),
        };
        builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
    }};
}

fn build(
    scheme: &ObjectStoreScheme,
    url: &Url,
    environment: &Environment,
    way: Way,
) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let options = |prefix: &'static str| {
        let own = OPTIONS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        own.chain(environment.iter().filter(move |(key, _)| key.starts_with(prefix)).cloned())
    };
    match scheme {
        ObjectStoreScheme::AmazonS3 => {
            configured!(AmazonS3Builder::new().with_url(url.as_str()), options("AWS_"), way)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            configured!(GoogleCloudStorageBuilder::new().with_url(url.as_str()), options("GOOGLE_"), way)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            configured!(MicrosoftAzureBuilder::new().with_url(url.as_str()), options("AZURE_"), way)
        }
        ObjectStoreScheme::Http => {
            // A prefix that no variable has: web servers take no credentials.
            let options = options("\0").chain([("allow_http".to_owned(), (url.scheme() == "http").to_string())]);
            configured!(HttpBuilder::new().with_url(&url[..Position::BeforePath]), options, way)
        }
        _ => Err(object_store::Error::NotSupported { source: "this scheme is not supported".into() }),
    }
}

/// A person waits for the outcome: a few tries within seconds.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
    }
}
