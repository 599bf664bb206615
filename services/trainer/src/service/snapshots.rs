//! The calls of `DatasetService` about snapshots.

use graft_chassis::status;
use graft_proto::v1::{
    CreateSnapshotRequest, CreateSnapshotResponse, GetSnapshotRequest, GetSnapshotResponse, ListSnapshotsRequest,
    ListSnapshotsResponse, Snapshot as Description,
};
use tonic::Status;

use super::datasets::existing;
use crate::{
    names::{Name, Tenant},
    paging::Page,
    store::{Store, datasets::DatasetRow, examples::ExampleRow},
    train::snapshot::identify,
};

/// Keep a dataset as it is now.
pub async fn create(
    store: &Store,
    tenant: &Tenant,
    request: CreateSnapshotRequest,
) -> Result<CreateSnapshotResponse, Status> {
    let dataset = existing(store, tenant, &Name::parse("dataset", &request.dataset)?).await?;
    let examples = store.examples(dataset.id).await?;
    if examples.is_empty() {
        return Err(status::precondition("dataset", format!("`{}` holds no example; import some first", dataset.name)));
    }
    let id = identify(&examples);
    keep(store, tenant, &dataset, &id, &examples).await?;
    Ok(CreateSnapshotResponse { snapshot: Some(snapshot(store, tenant, &dataset.name, &id).await?) })
}

/// Keep examples that were read just now as a snapshot.
pub async fn keep(
    store: &Store,
    tenant: &Tenant,
    dataset: &DatasetRow,
    id: &str,
    examples: &[ExampleRow],
) -> Result<(), Status> {
    match store.put_snapshot(tenant, dataset, id, examples).await? {
        true => Ok(()),
        false => {
            let name = &dataset.name;
            Err(status::unavailable(format!("examples of `{name}` were removed at this moment; try it again")))
        }
    }
}

/// Describe one.
pub async fn get(store: &Store, tenant: &Tenant, request: GetSnapshotRequest) -> Result<GetSnapshotResponse, Status> {
    let name = Name::parse("dataset", &request.dataset)?;
    Ok(GetSnapshotResponse { snapshot: Some(snapshot(store, tenant, name.as_str(), &request.id).await?) })
}

/// List those of a dataset.
pub async fn list(
    store: &Store,
    tenant: &Tenant,
    request: ListSnapshotsRequest,
) -> Result<ListSnapshotsResponse, Status> {
    let name = Name::parse("dataset", &request.dataset)?;
    let page = Page::parse(request.page_size, &request.page_token)?;
    let mut snapshots = store.snapshots(tenant, name.as_str(), &page.after, page.read()).await?;
    let next_page_token = page.cut(&mut snapshots, |snapshot| &snapshot.id);
    Ok(ListSnapshotsResponse { snapshots, next_page_token })
}

/// The snapshot of this id, or the status that says that there is none.
pub async fn snapshot(store: &Store, tenant: &Tenant, dataset: &str, id: &str) -> Result<Description, Status> {
    let hint = "ListSnapshots tells those of the dataset";
    store.snapshot(tenant, dataset, id).await?.ok_or_else(|| status::not_found("snapshot", id, hint))
}
