//! Small files from allowed places alone, whole into memory.
//!
//! No request reaches an address that is not below an allowed prefix: what a URI means is decided once, redirects are not
//! followed, proxies not asked, and links do not lead out of a directory. Names are resolved by the system, so an allowed
//! host is wherever its name points to. Object stores are reached where the environment says (`AWS_ENDPOINT`, …).
//!
//! # Layout
//! - [`prefix`]: which URIs are below which prefixes.
//! - [`directory`]: files of this machine.
//! - [`error`]: why nothing was fetched.

pub mod directory;
pub mod error;
pub mod prefix;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use reqwest::{Client, StatusCode};
use url::Url;

use crate::{
    direct,
    place::{self, Environment},
};
use directory::Directory;
use error::{FetchError, PrefixError};
use prefix::Prefix;

/// The places that files may come from.
#[derive(Clone, Debug)]
pub struct Allowed {
    places: Vec<(Prefix, Origin)>,
}

/// A file below an allowed prefix.
#[derive(Clone, Debug)]
pub struct Found {
    url: Url,
    origin: Origin,
}

/// How the files below a prefix are had.
#[derive(Clone, Debug)]
enum Origin {
    Directory(Directory),
    Web(Client),
    Store(Arc<dyn ObjectStore>),
}

impl Allowed {
    /// Allow what is below each of `prefixes`. Object stores take their credentials and endpoints from `environment`.
    pub fn new(prefixes: &[String], environment: &Environment) -> Result<Allowed, PrefixError> {
        let open = |given: &String| {
            let prefix = Prefix::parse(given)?;
            let refused = |reason: String| PrefixError { given: given.clone(), reason };
            let origin = Origin::open(&prefix.url, environment).map_err(refused)?;
            Ok((prefix, origin))
        };
        Ok(Allowed { places: prefixes.iter().map(open).collect::<Result<_, _>>()? })
    }

    /// The file at `uri`, if it may be fetched. Nothing is asked of anybody yet.
    pub fn find(&self, uri: &str) -> Result<Found, FetchError> {
        let url = prefix::read(uri)?;
        let place = self.places.iter().find(|(prefix, _)| prefix.holds(&url));
        let origin = place.map(|(_, origin)| origin.clone()).ok_or(FetchError::NotAllowed)?;
        Ok(Found { url, origin })
    }
}

impl Found {
    /// Fetch it, if it has at most `limit` bytes. Dropping the future ends the request.
    pub async fn fetch(self, limit: u64) -> Result<Bytes, FetchError> {
        match self.origin {
            Origin::Directory(directory) => directory.read(&self.url, limit).await,
            Origin::Web(client) => get(&client, self.url, limit).await,
            Origin::Store(store) => object(&store, &self.url, limit).await,
        }
    }
}

impl Origin {
    fn open(url: &Url, environment: &Environment) -> Result<Origin, String> {
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| "it names no directory of this machine".to_owned())?;
                Directory::open(path).map(Origin::Directory).map_err(|error| error.to_string())
            }
            "http" | "https" => {
                direct::client(url.scheme() == "http").map(Origin::Web).map_err(|error| error.to_string())
            }
            _ => {
                let place = place::open_directly(url, environment).map_err(|error| error.to_string())?;
                Ok(Origin::Store(place.store))
            }
        }
    }
}

async fn get(client: &Client, url: Url, limit: u64) -> Result<Bytes, FetchError> {
    let mut answer = client.get(url).send().await?;
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(FetchError::Redirected(status.as_u16())),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(FetchError::NotFound),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            return Err(FetchError::Denied(format!("the server's status is {}", status.as_u16())));
        }
        status => return Err(FetchError::Unavailable(format!("the server's status is {}", status.as_u16()))),
    }
    // What it announces may be wrong, so what comes is counted too.
    if answer.content_length().is_some_and(|bytes| bytes > limit) {
        return Err(FetchError::TooLarge(limit));
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        add(&mut bytes, &chunk, limit)?;
    }
    Ok(bytes.freeze())
}

async fn object(store: &Arc<dyn ObjectStore>, url: &Url, limit: u64) -> Result<Bytes, FetchError> {
    let path = Path::from_url_path(url.path()).map_err(|error| FetchError::Malformed(error.to_string()))?;
    let answer = store.get(&path).await?;
    if answer.meta.size > limit {
        return Err(FetchError::TooLarge(limit));
    }
    let mut chunks = answer.into_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        add(&mut bytes, &chunk?, limit)?;
    }
    Ok(bytes.freeze())
}

fn add(bytes: &mut BytesMut, chunk: &[u8], limit: u64) -> Result<(), FetchError> {
    if (bytes.len() + chunk.len()) as u64 > limit {
        return Err(FetchError::TooLarge(limit));
    }
    bytes.extend_from_slice(chunk);
    Ok(())
}
