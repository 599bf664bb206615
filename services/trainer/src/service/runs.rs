//! `graft.v1.TrainingService`.

use futures::StreamExt;
use graft_chassis::status;
use graft_proto::v1::{
    CancelTrainingRunRequest, CancelTrainingRunResponse, CreateTrainingRunRequest, CreateTrainingRunResponse,
    GetTrainingRunRequest, GetTrainingRunResponse, ListTrainingRunsRequest, ListTrainingRunsResponse,
    WatchTrainingRunRequest, WatchTrainingRunResponse, training_service_server::TrainingService,
};
use tonic::{Request, Response, Status};

use super::{Answers, datasets::existing};
use crate::{
    fit::{FitError, FitOptions},
    names::{Name, Tenant},
    paging::Page,
    runs::Runs,
    store::Store,
    train::{self, snapshot::Snapshot},
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

fn check(options: &FitOptions) -> Result<(), Status> {
    let refuse = |error: FitError| {
        let field = match error {
            FitError::IterationsOutOfRange { .. } => "options.max_iterations",
            _ => "options.l2",
        };
        status::invalid(field, error.to_string())
    };
    options.checked_path().map(|_| ()).map_err(refuse)
}

#[tonic::async_trait]
impl TrainingService for Training {
    async fn create_training_run(
        &self,
        request: Request<CreateTrainingRunRequest>,
    ) -> Result<Response<CreateTrainingRunResponse>, Status> {
        let tenant = Tenant::of(&request);
        let CreateTrainingRunRequest { dataset, head, options } = request.into_inner();
        let name = Name::parse("dataset", &dataset)?;
        let head = if head.is_empty() { name.clone() } else { Name::parse("head", &head)? };
        let fit = train::options(options.as_ref());
        check(&fit)?;
        let row = existing(&self.store, &tenant, &name).await?;
        let snapshot = Snapshot::new(&self.store.examples(row.id).await?);
        let fitting = snapshot.check(&row, &fit, self.runs.most_bytes());
        fitting.map_err(|message| status::precondition("dataset", message))?;
        let options = options.unwrap_or_default();
        let run = self.runs.create(&tenant, name.as_str(), head.as_str(), options).await?;
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

#[cfg(test)]
mod tests {
    use graft_proto::v1::TrainingOptions;

    use super::*;

    #[test]
    fn an_option_out_of_range_is_named() {
        let refused = |l2: Vec<f64>, max_iterations| {
            let options = TrainingOptions { l2, max_iterations, ..Default::default() };
            check(&train::options(Some(&options))).unwrap_err().message().to_owned()
        };
        for l2 in [vec![0.1, 0.0], vec![-1.0], vec![1e7], vec![f64::NAN], vec![0.1; 65]] {
            assert!(refused(l2.clone(), 0).starts_with("options.l2:"), "{l2:?}");
        }
        assert!(refused(vec![], 10_001).starts_with("options.max_iterations:"));
        assert!(check(&train::options(None)).is_ok());
    }
}
