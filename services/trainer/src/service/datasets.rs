//! `graft.v1.DatasetService`.

use std::sync::Arc;

use futures::StreamExt;
use graft_chassis::{status, streams};
use graft_proto::v1::{
    CreateDatasetRequest, CreateDatasetResponse, CreateSnapshotRequest, CreateSnapshotResponse, DeleteDatasetRequest,
    DeleteDatasetResponse, ExportEmbeddingsRequest, ExportEmbeddingsResponse, GetDatasetRequest, GetDatasetResponse,
    GetDatasetStatsRequest, GetDatasetStatsResponse, GetSnapshotRequest, GetSnapshotResponse, ImportExamplesRequest,
    ImportExamplesResponse, ListDatasetsRequest, ListDatasetsResponse, ListExamplesRequest, ListExamplesResponse,
    ListSnapshotsRequest, ListSnapshotsResponse, RelabelExamplesRequest, RelabelExamplesResponse,
    RemoveExamplesRequest, RemoveExamplesResponse, dataset_service_server::DatasetService, import_examples_request,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, augmentation, embeddings::Exports, examples, snapshots};
use crate::{
    embed::Extractor,
    import::{Import, OUTCOMES_OUT},
    names::{Name, Tenant},
    paging::Page,
    store::{Store, datasets::DatasetRow},
};

/// Serves datasets.
#[derive(Clone, Debug)]
pub struct Datasets {
    store: Store,
    extractor: Extractor,
    /// One permit an import.
    imports: Arc<Semaphore>,
    exports: Exports,
}

impl Datasets {
    /// Serve the datasets of `store`, embedding with `extractor`, with at most `imports` under way.
    pub fn new(store: Store, extractor: Extractor, imports: usize) -> Datasets {
        let exports = Exports::new(store.clone());
        Datasets { store, extractor, imports: Arc::new(Semaphore::new(imports)), exports }
    }
}

/// The dataset of this name, or the status that says that there is none.
pub async fn existing(store: &Store, tenant: &Tenant, name: &Name) -> Result<DatasetRow, Status> {
    let hint = "see `graft datasets` for those there are; `graft import` makes one";
    store.dataset(tenant, name).await?.ok_or_else(|| status::not_found("dataset", name.as_str(), hint))
}

#[tonic::async_trait]
impl DatasetService for Datasets {
    async fn create_dataset(
        &self,
        request: Request<CreateDatasetRequest>,
    ) -> Result<Response<CreateDatasetResponse>, Status> {
        let tenant = Tenant::of(&request);
        let CreateDatasetRequest { name, backbone, multi_label, augmentation: asked } = request.into_inner();
        let name = Name::parse("name", &name)?;
        if !backbone.is_empty() {
            Name::parse("backbone", &backbone)?;
        }
        let asked = asked.map(|asked| augmentation::resolve("augmentation", &asked)).transpose()?.flatten();
        let taken =
            || status::already_exists("dataset", name.as_str(), "choose another name, or delete that one first");
        if self.store.dataset(&tenant, &name).await?.is_some() {
            return Err(taken());
        }
        let backbone = self.extractor.backbone(&backbone).await?;
        let (space, dimension) = (&backbone.space, backbone.dimension);
        let created = self.store.create_dataset(&tenant, &name, &backbone.name, space, dimension, multi_label).await?;
        if !created {
            return Err(taken());
        }
        let mut row = existing(&self.store, &tenant, &name).await?;
        if let Some(asked) = &asked {
            row = augmentation::agree(&self.store, row, Some(asked)).await?;
        }
        let dataset = self.store.describe(row).await?;
        Ok(Response::new(CreateDatasetResponse { dataset: Some(dataset) }))
    }

    async fn get_dataset(&self, request: Request<GetDatasetRequest>) -> Result<Response<GetDatasetResponse>, Status> {
        let name = Name::parse("name", &request.get_ref().name)?;
        let row = existing(&self.store, &Tenant::of(&request), &name).await?;
        Ok(Response::new(GetDatasetResponse { dataset: Some(self.store.describe(row).await?) }))
    }

    async fn list_datasets(
        &self,
        request: Request<ListDatasetsRequest>,
    ) -> Result<Response<ListDatasetsResponse>, Status> {
        let page = Page::parse(request.get_ref().page_size, &request.get_ref().page_token)?;
        let mut rows = self.store.datasets(&Tenant::of(&request), &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut rows, |row| &row.name);
        let mut datasets = Vec::with_capacity(rows.len());
        for row in rows {
            datasets.push(self.store.describe(row).await?);
        }
        let next_page_token = Page::cut_by_bytes(&mut datasets, next_page_token, |dataset| &dataset.name);
        Ok(Response::new(ListDatasetsResponse { datasets, next_page_token }))
    }

    async fn delete_dataset(
        &self,
        request: Request<DeleteDatasetRequest>,
    ) -> Result<Response<DeleteDatasetResponse>, Status> {
        let name = Name::parse("name", &request.get_ref().name)?;
        if !self.store.delete_dataset(&Tenant::of(&request), &name).await? {
            return Err(status::not_found(
                "dataset",
                name.as_str(),
                "nothing was deleted; see `graft datasets` for those there are",
            ));
        }
        Ok(Response::new(DeleteDatasetResponse {}))
    }

    type ImportExamplesStream = Answers<ImportExamplesResponse>;

    async fn import_examples(
        &self,
        request: Request<Streaming<ImportExamplesRequest>>,
    ) -> Result<Response<Self::ImportExamplesStream>, Status> {
        let tenant = Tenant::of(&request);
        let mut requests = request.into_inner();
        let options = match streams::first(&mut requests).await?.and_then(|request| request.message) {
            Some(import_examples_request::Message::Options(options)) => options,
            _ => return Err(status::invalid("options", "the first message of the stream must hold the options")),
        };
        let name = Name::parse("options.dataset", &options.dataset)?;
        let dataset = existing(&self.store, &tenant, &name).await?;
        let dataset = augmentation::agree(&self.store, dataset, options.augmentation.as_ref()).await?;
        let permit = self.imports.clone().try_acquire_owned().map_err(|_| {
            status::exhausted("imports", "as many are under way as this trainer takes at once (--max-imports)")
        })?;
        let (outcomes, receiver) = mpsc::channel(OUTCOMES_OUT);
        let labels = self.store.all_labels(dataset.id).await?;
        let import = Import::new(self.store.clone(), self.extractor.clone(), tenant, dataset, labels, outcomes);
        tokio::spawn(async move {
            let _permit = permit;
            import.run(requests).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn list_examples(
        &self,
        request: Request<ListExamplesRequest>,
    ) -> Result<Response<ListExamplesResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(examples::list(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn relabel_examples(
        &self,
        request: Request<RelabelExamplesRequest>,
    ) -> Result<Response<RelabelExamplesResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(examples::relabel(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn remove_examples(
        &self,
        request: Request<RemoveExamplesRequest>,
    ) -> Result<Response<RemoveExamplesResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(examples::remove(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn get_dataset_stats(
        &self,
        request: Request<GetDatasetStatsRequest>,
    ) -> Result<Response<GetDatasetStatsResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(examples::stats(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn create_snapshot(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Result<Response<CreateSnapshotResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(snapshots::create(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(snapshots::get(&self.store, &tenant, request.into_inner()).await?))
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(snapshots::list(&self.store, &tenant, request.into_inner()).await?))
    }

    type ExportEmbeddingsStream = Answers<ExportEmbeddingsResponse>;

    async fn export_embeddings(
        &self,
        request: Request<ExportEmbeddingsRequest>,
    ) -> Result<Response<Self::ExportEmbeddingsStream>, Status> {
        let tenant = Tenant::of(&request);
        Ok(Response::new(self.exports.open(&tenant, request.into_inner()).await?))
    }
}
