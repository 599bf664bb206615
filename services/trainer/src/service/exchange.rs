//! The calls of `HeadService` that take heads in and give them out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use graft_chassis::{status, streams};
use graft_proto::v1::{ExportHeadResponse, Head, ImportHeadRequest};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::spawn_blocking,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Answers, heads::existing};
use crate::{
    embed::Extractor,
    exchange::{file::HeadFile, incoming, outgoing, said::Said},
    names::{HeadRef, Tenant},
    store::Store,
};

/// The largest file of a head, in bytes: the largest head of nearest neighbours, and its header.
const MOST_BYTES: usize = 264 << 20;
/// Files that are in memory at once; others wait.
const AT_ONCE: usize = 2;
/// How long a caller may take to bring a whole file, or to take a message out.
const BRING: Duration = Duration::from_secs(600);
const TAKE: Duration = Duration::from_secs(60);
/// Bytes of one message out.
const PART: usize = 1 << 20;
/// Messages out that wait for the caller.
const PARTS_OUT: usize = 4;

/// Takes heads in and gives them out.
#[derive(Clone, Debug)]
pub struct Exchange {
    store: Store,
    extractor: Extractor,
    /// One permit a file.
    files: Arc<Semaphore>,
}

impl Exchange {
    /// Heads of `store`; `extractor` knows the backbones.
    pub fn new(store: Store, extractor: Extractor) -> Exchange {
        Exchange { store, extractor, files: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Register the head that `requests` bring.
    pub async fn import(&self, tenant: &Tenant, mut requests: Streaming<ImportHeadRequest>) -> Result<Head, Status> {
        let missing = || status::invalid("options", "the first message of the stream must hold the options");
        let first = streams::first(&mut requests).await?.ok_or_else(missing)?;
        let said = Said::check(first.options.ok_or_else(missing)?)?;
        let _permit = self.permit().await?;
        let bytes = timeout(BRING, bring(first.data, requests)).await.map_err(|_| {
            status::too_late(format!("the file was not there within {} s; nothing of it was kept", BRING.as_secs()))
        })??;
        let file = blocking(move || HeadFile::read(&bytes)).await??;
        let backbone = self.extractor.backbone(incoming::backbone(&said, &file)?).await?;
        let (head, weights) = blocking(move || incoming::accept(said, file, &backbone)).await??;
        Ok(self.store.register_imported(tenant, head, &weights).await?)
    }

    /// The file of a head, in parts.
    pub async fn export(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Answers<ExportHeadResponse>, Status> {
        let permit = self.permit().await?;
        let head = existing(&self.store, tenant, wanted).await?;
        let head = Head { report: None, ..head };
        let weights = self.store.weights(tenant, &head.name, head.version).await?;
        let weights =
            weights.ok_or_else(|| status::not_found("head", &wanted.to_string(), "it was deleted just now"))?;
        let (head, file) = blocking(move || outgoing::file(&head, &weights).map(|file| (head, file)))
            .await?
            .map_err(|error| status::internal(error.to_string()))?;
        let (parts, receiver) = mpsc::channel(PARTS_OUT);
        tokio::spawn(give(head, Bytes::from(file), parts, permit));
        Ok(ReceiverStream::new(receiver).boxed())
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.files.clone().acquire_owned().await.map_err(|error| status::internal(error.to_string()))
    }
}

/// All bytes of a file whose first ones are `first`.
async fn bring(first: Bytes, mut requests: Streaming<ImportHeadRequest>) -> Result<Vec<u8>, Status> {
    let mut file = Vec::from(first);
    while let Some(ImportHeadRequest { options, data }) = streams::next(&mut requests).await? {
        if options.is_some() {
            return Err(status::invalid("options", "given twice; the first message alone holds them"));
        }
        if file.len() + data.len() > MOST_BYTES {
            return Err(status::invalid("data", format!("more than {MOST_BYTES} bytes; no more are accepted")));
        }
        file.extend_from_slice(&data);
    }
    Ok(file)
}

/// Send a file, as fast as the caller takes it.
async fn give(
    head: Head,
    file: Bytes,
    parts: mpsc::Sender<Result<ExportHeadResponse, Status>>,
    _permit: OwnedSemaphorePermit,
) {
    let size = file.len() as u64;
    let mut about = Some(head);
    for start in (0..file.len()).step_by(PART) {
        let data = file.slice(start..file.len().min(start + PART));
        let size = if about.is_some() { size } else { 0 };
        let part = ExportHeadResponse { head: about.take(), size, data };
        if !matches!(timeout(TAKE, parts.send(Ok(part))).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    spawn_blocking(work).await.map_err(|error| status::internal(format!("the work was broken off: {error}")))
}
