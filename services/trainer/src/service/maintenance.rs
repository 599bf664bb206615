//! `graft.v1.MaintenanceService`.

use graft_chassis::status;
use graft_proto::v1::{CollectGarbageRequest, CollectGarbageResponse, maintenance_service_server::MaintenanceService};
use tonic::{Request, Response, Status};

use crate::garbage::Garbage;

/// Serves who operates the trainer.
#[derive(Clone, Debug)]
pub struct Maintenance {
    garbage: Garbage,
}

impl Maintenance {
    /// Collect `garbage` when it is told to.
    pub fn new(garbage: Garbage) -> Maintenance {
        Maintenance { garbage }
    }
}

#[tonic::async_trait]
impl MaintenanceService for Maintenance {
    async fn collect_garbage(
        &self,
        request: Request<CollectGarbageRequest>,
    ) -> Result<Response<CollectGarbageResponse>, Status> {
        let collected = self.garbage.collect(request.get_ref().dry_run).await?;
        let under_way = || status::exhausted("collections", "one is under way already; wait for its end");
        let collected = collected.ok_or_else(under_way)?;
        Ok(Response::new(CollectGarbageResponse {
            snapshot_count: collected.snapshots,
            embedding_count: collected.embeddings,
            embedding_bytes: collected.embedding_bytes,
            segment_count: collected.segments,
            rewritten_segment_count: collected.rewritten,
            correction_count: collected.corrections,
            file_count: collected.files,
            file_bytes: collected.file_bytes,
            waiting_file_count: collected.waiting_files,
            waiting_file_bytes: collected.waiting_bytes,
        }))
    }
}
