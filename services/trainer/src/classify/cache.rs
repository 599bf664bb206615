//! The heads that requests ask, read when they are needed and kept ready within a budget of memory.

use std::sync::Arc;

use graft_chassis::status;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tonic::Status;

use super::{
    head::ServedHead,
    kept::Kept,
    resolve::{HeadVersion, Resolved, Resolver},
    turns::Turns,
};
use crate::{
    error::StoreError,
    fit::head,
    names::{HeadRef, Tenant},
    service::heads::missing,
    store::Store,
};

/// Heads that are read at once, at the most: each is in memory a few times meanwhile.
pub(super) const READ_AT_ONCE: usize = 8;
/// How often a request looks again for a version that was deleted after it was found.
pub(super) const TRIES: usize = 3;

/// The heads that can answer.
#[derive(Clone, Debug)]
pub struct HeadCache(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    store: Store,
    /// Bytes of heads that are kept.
    pub(super) budget: u64,
    pub(super) resolver: Resolver,
    pub(super) kept: Mutex<Kept>,
    /// Versions that are being read.
    reading: Turns<HeadVersion>,
    reads: Semaphore,
}

impl HeadCache {
    /// Keep at most `budget` bytes of heads ready.
    pub fn new(store: Store, budget: usize) -> HeadCache {
        let budget = budget as u64;
        HeadCache(Arc::new(Shared {
            resolver: Resolver::new(store.clone()),
            store,
            budget,
            kept: Mutex::new(Kept::new(budget)),
            reading: Turns::default(),
            reads: Semaphore::new(READ_AT_ONCE),
        }))
    }

    /// The head that is meant, read if it is not ready.
    pub async fn get(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Arc<ServedHead>, Status> {
        for _ in 0..TRIES {
            let Some(resolved) = self.0.resolver.head(tenant, wanted).await? else { break };
            if let Some(ready) = self.ready(&resolved) {
                return Ok(ready);
            }
            if let Some(read) = self.read(&resolved).await? {
                return Ok(read);
            }
            self.0.resolver.forget_head(tenant, wanted);
        }
        Err(missing(wanted))
    }

    /// Make room: this was deleted.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        self.0.kept.lock().forget(|kept| {
            kept.tenant == *tenant
                && *kept.name == *wanted.name.as_str()
                && wanted.version().is_none_or(|version| version == kept.version)
        });
    }

    /// A head that is ready.
    fn ready(&self, resolved: &Resolved) -> Option<Arc<ServedHead>> {
        self.0.kept.lock().touch(&resolved.version)
    }

    /// Read a version, unless somebody else has by now. `None` if it is gone.
    pub(super) async fn read(&self, resolved: &Resolved) -> Result<Option<Arc<ServedHead>>, Status> {
        let _turn = self.0.reading.take(resolved.version.clone()).await;
        if let Some(ready) = self.ready(resolved) {
            return Ok(Some(ready));
        }
        let _read = self.0.reads.acquire().await.map_err(|error| status::internal(error.to_string()))?;
        let HeadVersion { tenant, name, version } = &resolved.version;
        let Some((head, file)) = self.0.store.head_file(tenant, name, *version).await? else { return Ok(None) };
        let resolved = resolved.clone();
        let (version, served) = spawn_blocking(move || {
            let weights = head::Head::from_safetensors(&file).map_err(|error| StoreError::Damaged {
                file: format!("the weights of {}@{}", head.name, head.version),
                reason: error.to_string(),
            })?;
            Ok::<_, Status>((resolved.version.clone(), Arc::new(ServedHead::new(&resolved, head, weights)?)))
        })
        .await
        .map_err(|error| status::internal(error.to_string()))??;
        self.0.kept.lock().insert(version, served.clone());
        Ok(Some(served))
    }
}
