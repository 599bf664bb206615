//! `graft.v1.TrainingService`.

use futures::StreamExt;
use graft_chassis::status;
use graft_proto::v1::{
    CancelTrainingRunRequest, CancelTrainingRunResponse, CreateTrainingRunRequest, CreateTrainingRunResponse,
    GetTrainingRunRequest, GetTrainingRunResponse, ListTrainingRunsRequest, ListTrainingRunsResponse,
    WatchTrainingRunRequest, WatchTrainingRunResponse, training_service_server::TrainingService,
};
use tonic::{Request, Response, Status};

use super::{
    Answers,
    datasets::existing,
    snapshots::{keep, snapshot as described},
};
use crate::{
    names::{Name, Tenant},
    paging::Page,
    runs::Runs,
    store::{Store, datasets::DatasetRow, examples::ExampleRow},
    train::{
        options::{self, OptionError},
        snapshot::Snapshot,
    },
};

/// Serves training runs.
#[derive(Clone, Debug)]
pub struct Training {
    store: Store,
    runs: Runs,
}

impl Training {
    /// Serve `runs`.
    pub fn new(store: Store, runs: Runs) -> Training {
        Training { store, runs }
    }
}

fn refuse(error: OptionError) -> Status {
    status::invalid(error.field, error.message)
}

impl Training {
    /// The examples of the snapshot that is wanted; those that the dataset has now, if none is.
    async fn examples(&self, tenant: &Tenant, dataset: &DatasetRow, wanted: &str) -> Result<Vec<ExampleRow>, Status> {
        if wanted.is_empty() {
            return Ok(self.store.examples(dataset.id).await?);
        }
        let found = described(&self.store, tenant, &dataset.name, wanted).await?;
        if found.space != dataset.space {
            let message = format!("it is of `{}`, but the dataset is of `{}` now", found.space, dataset.space);
            return Err(status::precondition("snapshot", message));
        }
        Ok(self.store.snapshot_examples(tenant, dataset, wanted).await?.unwrap_or_default())
    }
}

#[tonic::async_trait]
impl TrainingService for Training {
    async fn create_training_run(
        &self,
        request: Request<CreateTrainingRunRequest>,
    ) -> Result<Response<CreateTrainingRunResponse>, Status> {
        let tenant = Tenant::of(&request);
        let CreateTrainingRunRequest { dataset, head, options, snapshot: wanted } = request.into_inner();
        let name = Name::parse("dataset", &dataset)?;
        let head = if head.is_empty() { name.clone() } else { Name::parse("head", &head)? };
        let mut fit = options::parse(options.as_ref()).map_err(refuse)?;
        let row = existing(&self.store, &tenant, &name).await?;
        let examples = self.examples(&tenant, &row, &wanted).await?;
        let snapshot = Snapshot::new(&examples);
        options::suit(&mut fit, options.as_ref(), &row).map_err(refuse)?;
        options::weigh(&mut fit, options.as_ref(), &snapshot.labels).map_err(refuse)?;
        let fitting = snapshot.check(&row, &fit, self.runs.most_bytes());
        fitting.map_err(|message| status::precondition("dataset", message))?;
        keep(&self.store, &tenant, &row, &snapshot.id, &examples).await?;
        let options = options.unwrap_or_default();
        let run = self.runs.create(&tenant, name.as_str(), head.as_str(), &snapshot.id, options).await?;
        Ok(Response::new(CreateTrainingRunResponse { training_run: Some(run) }))
    }

    async fn get_training_run(
        &self,
        request: Request<GetTrainingRunRequest>,
    ) -> Result<Response<GetTrainingRunResponse>, Status> {
        let run = self.runs.get(&Tenant::of(&request), &request.get_ref().id).await?;
        Ok(Response::new(GetTrainingRunResponse { training_run: Some(run) }))
    }

    async fn list_training_runs(
        &self,
        request: Request<ListTrainingRunsRequest>,
    ) -> Result<Response<ListTrainingRunsResponse>, Status> {
        let tenant = Tenant::of(&request);
        let ListTrainingRunsRequest { dataset, page_size, page_token } = request.into_inner();
        let page = Page::parse(page_size, &page_token)?;
        if !dataset.is_empty() {
            Name::parse("dataset", &dataset)?;
        }
        let mut training_runs = self.runs.list(&tenant, &dataset, &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut training_runs, |run| &run.id);
        let next_page_token = Page::cut_by_bytes(&mut training_runs, next_page_token, |run| &run.id);
        Ok(Response::new(ListTrainingRunsResponse { training_runs, next_page_token }))
    }

    async fn cancel_training_run(
        &self,
        request: Request<CancelTrainingRunRequest>,
    ) -> Result<Response<CancelTrainingRunResponse>, Status> {
        let run = self.runs.cancel(&Tenant::of(&request), &request.get_ref().id).await?;
        Ok(Response::new(CancelTrainingRunResponse { training_run: Some(run) }))
    }

    type WatchTrainingRunStream = Answers<WatchTrainingRunResponse>;

    async fn watch_training_run(
        &self,
        request: Request<WatchTrainingRunRequest>,
    ) -> Result<Response<Self::WatchTrainingRunStream>, Status> {
        let states = self.runs.follow(&Tenant::of(&request), &request.get_ref().id).await?;
        let answers = states.map(|run| run.map(|run| WatchTrainingRunResponse { training_run: Some(run) }));
        Ok(Response::new(answers.boxed()))
    }
}
