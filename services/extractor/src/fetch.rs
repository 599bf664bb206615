//! Images that are named by a URI: fetched from allowed places, a bounded number at once, each within a time limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graft_chassis::status;
use graft_pull::{Allowed, allowed::Found};
use metrics::{counter, histogram};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{timeout, timeout_at},
};
use tonic::Status;

use crate::error::fetch_status;

/// One stream may have this part of all fetches, so that one with slow images does not hold up the others.
const SHARE: usize = 4;

/// What fetches may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of an image.
    pub bytes: u64,
    /// From the request to the last byte.
    pub time: Duration,
    /// Fetches at once.
    pub fetches: usize,
}

/// Fetches images from allowed places.
#[derive(Debug)]
pub struct Fetcher {
    allowed: Allowed,
    bounds: Bounds,
    /// One permit a fetch.
    slots: Arc<Semaphore>,
}

/// The fetches of one stream.
#[derive(Clone, Debug)]
pub struct Fetching {
    /// What fetches.
    pub fetcher: Arc<Fetcher>,
    /// The stream's share of the slots.
    share: Arc<Semaphore>,
}

/// The right to have a fetched image that no queue counts yet.
#[derive(Debug)]
pub struct Slot {
    _share: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

impl Fetcher {
    /// Fetch from `allowed` places, within `bounds`.
    pub fn new(allowed: Allowed, bounds: Bounds) -> Fetcher {
        Fetcher { allowed, bounds, slots: Arc::new(Semaphore::new(bounds.fetches)) }
    }

    /// The image at `uri`, if it may be fetched. Nothing is asked of anybody yet.
    pub fn find(&self, uri: &str) -> Result<Found, Status> {
        self.allowed.find(uri).map_err(|error| fetch_status(&error))
    }
}

impl Fetching {
    /// The fetches of a new stream.
    pub fn new(fetcher: Arc<Fetcher>) -> Fetching {
        let share = Arc::new(Semaphore::new(fetcher.bounds.fetches.div_ceil(SHARE)));
        Fetching { fetcher, share }
    }

    /// Fetch an image, once there is a slot, unless the deadline passes first. Dropping the future ends the request.
    pub async fn fetch(&self, place: Found, deadline: Option<Instant>) -> Result<(Bytes, Slot), Status> {
        let fetched = async {
            let slot = self.slot().await?;
            let begun = Instant::now();
            let fetched = self.within_bounds(place).await;
            histogram!("graft_extractor_fetch_seconds").record(begun.elapsed().as_secs_f64());
            fetched.map(|bytes| (bytes, slot))
        };
        let fetched = match deadline {
            None => fetched.await,
            Some(deadline) => timeout_at(deadline.into(), fetched)
                .await
                .unwrap_or_else(|_| Err(status::too_late("the deadline passed before the image was fetched"))),
        };
        let outcome = if fetched.is_ok() { "fetched" } else { "failed" };
        counter!("graft_extractor_fetches_total", "outcome" => outcome).increment(1);
        fetched
    }

    async fn slot(&self) -> Result<Slot, Status> {
        let stopped = |_| status::unavailable("the extractor stops");
        let share = self.share.clone().acquire_owned().await.map_err(stopped)?;
        let slot = self.fetcher.slots.clone().acquire_owned().await.map_err(stopped)?;
        Ok(Slot { _share: share, _slot: slot })
    }

    async fn within_bounds(&self, place: Found) -> Result<Bytes, Status> {
        let Bounds { bytes, time, .. } = self.fetcher.bounds;
        // Boxed, so that an image that waits for its slot is small.
        match timeout(time, Box::pin(place.fetch(bytes))).await {
            Ok(fetched) => fetched.map_err(|error| fetch_status(&error)),
            Err(_) => {
                let message =
                    format!("image.uri: it did not come within {time:?} (--image-uri-seconds of the extractor)");
                Err(status::unavailable(message))
            }
        }
    }
}
