//! The network of a backbone, given out as a file in parts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use graft_chassis::status;
use graft_proto::v1::{BackboneModel, ExportBackboneResponse};
use prost::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::spawn_blocking,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    backbone::{catalogue::Entry, onnx::ModelProto},
    engines::Engines,
};

/// Files that are in memory at once, of up to 2 GiB each; others wait.
const AT_ONCE: usize = 1;
/// How long a caller may take to take a message.
const TAKE: Duration = Duration::from_secs(60);
/// Bytes of one message.
const PART: usize = 1 << 20;
/// Messages that wait for the caller.
const PARTS_OUT: usize = 4;

/// The parts of a file.
pub type Parts = BoxStream<'static, Result<ExportBackboneResponse, Status>>;

/// Gives networks out.
#[derive(Clone, Debug)]
pub struct Export {
    /// One permit a file.
    files: Arc<Semaphore>,
}

impl Default for Export {
    fn default() -> Self {
        Export { files: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Export {
    /// The file of the backbone `name` (or `NAME@HASH`), the default one if that is empty.
    pub async fn open(&self, engines: &Engines, name: &str) -> Result<Parts, Status> {
        let permit = self.files.clone().acquire_owned().await.map_err(|error| status::internal(error.to_string()))?;
        let entry = engines.model(name).await?;
        let (model, file) = spawn_blocking(move || describe(entry))
            .await
            .map_err(|error| status::internal(format!("the work was broken off: {error}")))??;
        let (parts, receiver) = mpsc::channel(PARTS_OUT);
        tokio::spawn(give(model, file, parts, permit));
        Ok(ReceiverStream::new(receiver).boxed())
    }
}

/// What the file of a backbone is, and the file.
fn describe(entry: Entry) -> Result<(BackboneModel, Bytes), Status> {
    let file = entry.model;
    let read = ModelProto::decode(file.clone()).map_err(|error| status::internal(error.to_string()))?;
    let graph = read.graph.unwrap_or_default();
    let name = |info: Option<&crate::backbone::onnx::ValueInfoProto>| {
        info.map(|info| info.name().to_owned()).unwrap_or_default()
    };
    let model = BackboneModel {
        backbone: Some(entry.description),
        input: name(graph.input.first()),
        output: name(graph.output.first()),
        size: file.len() as u64,
        hash: blake3::hash(&file).to_hex().to_string(),
    };
    Ok((model, file))
}

/// Send a file, as fast as the caller takes it.
async fn give(
    model: BackboneModel,
    file: Bytes,
    parts: mpsc::Sender<Result<ExportBackboneResponse, Status>>,
    _permit: OwnedSemaphorePermit,
) {
    let mut about = Some(model);
    for start in (0..file.len()).step_by(PART) {
        let data = file.slice(start..file.len().min(start + PART));
        let part = ExportBackboneResponse { model: about.take(), data };
        if !matches!(timeout(TAKE, parts.send(Ok(part))).await, Ok(Ok(()))) {
            return;
        }
    }
}
