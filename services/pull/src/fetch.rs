//! Small objects, such as images, into memory: from object stores and web servers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, ObjectStoreScheme, path::Path};
use url::{Position, Url};

use crate::{
    error::PullError,
    place::{self, Environment},
    source::Source,
};

/// Stores that are kept open, so that their connections are used again.
const STORES: usize = 64;

/// Gets objects of at most `limit` bytes. Calls may run at the same time.
#[derive(Debug)]
pub struct Fetcher {
    environment: Environment,
    limit: u64,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Fetcher {
    /// With the credentials and endpoints that `environment` holds.
    pub fn new(environment: Environment, limit: u64) -> Fetcher {
        Fetcher { environment, limit, stores: Mutex::default() }
    }

    /// The whole object at `source`.
    ///
    /// # Errors
    /// Files of this machine and of the hub are not fetched; else what the other side said, or [`PullError::TooLarge`].
    pub async fn fetch(&self, source: &Source) -> Result<Bytes, PullError> {
        let Source::Object(url) = source else {
            let reason = "not fetched; https://, s3://, gs:// and az:// are accepted".to_owned();
            return Err(PullError::Source { given: source.to_string(), reason });
        };
        let (store, path) = self.open(url)?;
        let failed = |error| PullError::from_store(url.as_str(), error);
        let too_large = |bytes| PullError::TooLarge { uri: url.to_string(), bytes, limit: self.limit };
        let found = store.get(&path).await.map_err(failed)?;
        if found.meta.size > self.limit {
            return Err(too_large(found.meta.size));
        }
        let mut bytes = BytesMut::with_capacity(found.meta.size as usize);
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            if (bytes.len() + chunk.len()) as u64 > self.limit {
                return Err(too_large((bytes.len() + chunk.len()) as u64));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    fn open(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), PullError> {
        let failed = |error: object_store::Error| PullError::Failed { uri: url.to_string(), reason: error.to_string() };
        let (_, path) = ObjectStoreScheme::parse(url).map_err(|error| failed(error.into()))?;
        // What is before the object's own path names the store: a host, and perhaps a bucket.
        let segments: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let above = segments.len().saturating_sub(path.parts().count());
        let key = format!("{}/{}", &url[..Position::BeforePath], segments[..above].join("/"));
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(&key) {
            return Ok((store.clone(), path));
        }
        let store = place::open(url, &self.environment)?.store;
        if stores.len() >= STORES {
            stores.clear();
        }
        stores.insert(key, store.clone());
        Ok((store, path))
    }
}
