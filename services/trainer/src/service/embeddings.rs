//! The call of `DatasetService` that gives embeddings out.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use graft_chassis::status;
use graft_proto::v1::{
    ExportEmbeddingsRequest, ExportEmbeddingsResponse, ExportedDataset, ExportedRows, Split, StoredExample,
    export_embeddings_response::Message,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Answers, datasets::existing, snapshots::snapshot};
use crate::{
    content::ContentHash,
    fit::head::bytes,
    names::{Name, Tenant},
    store::{Store, datasets::DatasetRow, examples::ExampleRow, shelves::Shelf},
};

/// Exports under way at once; others wait.
const AT_ONCE: usize = 4;
/// How long a caller may take to take a message.
const TAKE: Duration = Duration::from_secs(60);
/// Bytes of embeddings in one message, about, and rows at the most.
const MESSAGE_BYTES: usize = 1 << 20;
const MESSAGE_ROWS: usize = 512;
/// Messages that wait for the caller.
const MESSAGES_OUT: usize = 2;

/// Gives embeddings out.
#[derive(Clone, Debug)]
pub struct Exports {
    store: Store,
    /// One permit an export.
    permits: Arc<Semaphore>,
}

/// An export that has begun.
struct Export {
    store: Store,
    dimension: usize,
    examples: Vec<ExampleRow>,
    shelves: Vec<Shelf>,
    messages: mpsc::Sender<Result<ExportEmbeddingsResponse, Status>>,
    _permit: OwnedSemaphorePermit,
}

impl Exports {
    /// The embeddings of `store`.
    pub fn new(store: Store) -> Exports {
        Exports { store, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Begin an export: what it holds, then its rows.
    pub async fn open(
        &self,
        tenant: &Tenant,
        request: ExportEmbeddingsRequest,
    ) -> Result<Answers<ExportEmbeddingsResponse>, Status> {
        let split = request.split();
        if split as i32 != request.split {
            return Err(status::invalid("split", format!("{} is unknown", request.split)));
        }
        let dataset = existing(&self.store, tenant, &Name::parse("dataset", &request.dataset)?).await?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|error| status::internal(error.to_string()))?;
        let mut examples = self.examples(tenant, &dataset, &request.snapshot).await?;
        examples.retain(|example| split == Split::Unspecified || example.split == split);
        let hashes: Vec<ContentHash> = examples.iter().map(|example| example.hash).collect();
        let shelves = self.store.shelves(tenant, &dataset, &hashes).await?;
        let (messages, receiver) = mpsc::channel(MESSAGES_OUT);
        let about = ExportedDataset {
            name: dataset.name,
            snapshot: request.snapshot,
            backbone: dataset.backbone,
            space: dataset.space,
            dimension: dataset.dimension,
            multi_label: dataset.multi_label,
            row_count: examples.len() as u64,
        };
        let dimension = dataset.dimension as usize;
        let export = Export { store: self.store.clone(), dimension, examples, shelves, messages, _permit: permit };
        tokio::spawn(export.run(about));
        Ok(ReceiverStream::new(receiver).boxed())
    }

    /// The examples of a dataset as it is now, or as a snapshot has it.
    async fn examples(&self, tenant: &Tenant, dataset: &DatasetRow, id: &str) -> Result<Vec<ExampleRow>, Status> {
        if id.is_empty() {
            return Ok(self.store.examples(dataset.id).await?);
        }
        let described = snapshot(&self.store, tenant, &dataset.name, id).await?;
        if described.space != dataset.space {
            return Err(status::precondition(
                "snapshot",
                format!("it is of `{}`, but `{}` is of `{}` now", described.space, dataset.name, dataset.space),
            ));
        }
        let examples = self.store.snapshot_examples(tenant, dataset, id).await?;
        examples.ok_or_else(|| status::not_found("snapshot", id, "it was removed just now"))
    }
}

impl Export {
    async fn run(self, about: ExportedDataset) {
        if let Err(status) = self.send_all(about).await {
            // Who does not listen is not told either.
            let _ = timeout(TAKE, self.messages.send(Err(status))).await;
        }
    }

    async fn send_all(&self, about: ExportedDataset) -> Result<(), Status> {
        self.send(Message::Dataset(about)).await?;
        let rows = (MESSAGE_BYTES / (self.dimension * size_of::<f32>()).max(1)).clamp(1, MESSAGE_ROWS);
        for shelf in &self.shelves {
            let embeddings = self.store.read_shelf(shelf).await?;
            let parts = shelf.wanted.chunks(rows).zip(embeddings.chunks((rows * self.dimension).max(1)));
            for (wanted, embeddings) in parts {
                let examples = wanted.iter().map(|index| describe(&self.examples[*index])).collect();
                let embeddings = bytes(embeddings).into();
                self.send(Message::Rows(ExportedRows { examples, embeddings })).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, message: Message) -> Result<(), Status> {
        let message = Ok(ExportEmbeddingsResponse { message: Some(message) });
        match timeout(TAKE, self.messages.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::cancelled("the caller has gone")),
            Err(_) => Err(status::too_late(format!("nothing was read for {} s", TAKE.as_secs()))),
        }
    }
}

fn describe(example: &ExampleRow) -> StoredExample {
    StoredExample {
        id: example.id.clone(),
        hash: example.hash.to_hex(),
        labels: example.labels.clone(),
        split: example.split as i32,
        appearances: Vec::new(),
    }
}
