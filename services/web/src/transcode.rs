//! Messages between JSON and protobuf; large ones a few at a time, and where they hold up nobody.

use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tonic::Status;

use crate::{json, messages::Text};

/// A message of more bytes is large: it takes more than about a millisecond.
const LARGE: usize = 256 << 10;
/// Large messages at a time. In between, a message may take thirty times its bytes.
const AT_A_TIME: usize = 2;

/// Turns messages around.
#[derive(Clone, Debug)]
pub(crate) struct Transcoder {
    /// The most bytes of a message.
    pub(crate) limit: usize,
    /// The kinds of details that errors have.
    pub(crate) details: DescriptorPool,
    turns: Arc<Semaphore>,
}

impl Transcoder {
    /// For messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Result<Transcoder, DescriptorError> {
        let details = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
        Ok(Transcoder { limit, details, turns: Arc::new(Semaphore::new(AT_A_TIME)) })
    }

    /// A message of the caller.
    pub(crate) async fn read(&self, kind: MessageDescriptor, text: Text) -> Result<Bytes, Status> {
        self.turn(text.json.len(), move || json::to_protobuf(kind, &text)).await
    }

    /// A message for the caller, with `after` behind it.
    pub(crate) async fn write(
        &self,
        kind: MessageDescriptor,
        encoded: Bytes,
        after: &'static str,
    ) -> Result<Bytes, Status> {
        self.turn(encoded.len(), move || json::of_protobuf(kind, encoded, after)).await
    }

    async fn turn(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<Bytes, Status> + Send + 'static,
    ) -> Result<Bytes, Status> {
        if bytes <= LARGE {
            return work();
        }
        let stopped = |_| Status::internal("a message was not turned around: the work was broken off");
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Status::unavailable("the service stops"))?;
        // The turn goes with the work: who asked may be gone before it is done.
        let work = move || {
            let _turn = turn;
            work()
        };
        spawn_blocking(work).await.map_err(stopped)?
    }
}
