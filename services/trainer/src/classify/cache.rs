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
    traffic::{Traffic, VersionTraffic},
    turns::Turns,
};
use crate::{
    error::StoreError,
    fit::head,
    names::{HeadRef, Tenant},
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
    traffic: Traffic,
    /// Bytes of heads that are kept.
    pub(super) budget: u64,
    pub(super) resolver: Resolver,
    pub(super) kept: Mutex<Kept>,
    /// Versions that are being read.
    reading: Turns<HeadVersion>,
    reads: Semaphore,
}

impl HeadCache {
    /// Keep at most `budget` bytes of heads ready, and note in `traffic` what they are asked.
    pub fn new(store: Store, budget: usize, traffic: Traffic) -> HeadCache {
        let budget = budget as u64;
        HeadCache(Arc::new(Shared {
            resolver: Resolver::new(store.clone(), traffic.clone()),
            store,
            traffic,
            budget,
            kept: Mutex::new(Kept::new(budget)),
            reading: Turns::default(),
            reads: Semaphore::new(READ_AT_ONCE),
        }))
    }

    /// A version, read if it is not ready. `None` if it is gone.
    pub async fn load(&self, resolved: &Resolved) -> Result<Option<Arc<ServedHead>>, Status> {
        match self.ready(resolved) {
            Some(ready) => Ok(Some(ready)),
            None => self.read(resolved).await,
        }
    }

    /// Make room: this was deleted.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        self.0.kept.lock().forget(|kept| kept.is(tenant, wanted));
        self.0.traffic.forget(tenant, wanted);
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
        let (resolved, traffic) = (resolved.clone(), self.0.traffic.clone());
        let (version, served) = spawn_blocking(move || {
            let weights = head::Head::from_safetensors(&file).map_err(|error| StoreError::Damaged {
                file: format!("the weights of {}@{}", head.name, head.version),
                reason: error.to_string(),
            })?;
            let of_it = traffic.of_version(&resolved.version, || {
                VersionTraffic::new(head.labels.len(), head.report.as_ref(), weights.thresholds().is_some())
            });
            Ok::<_, Status>((resolved.version.clone(), Arc::new(ServedHead::new(&resolved, head, weights, of_it)?)))
        })
        .await
        .map_err(|error| status::internal(error.to_string()))??;
        self.0.kept.lock().insert(version, served.clone());
        Ok(Some(served))
    }
}
