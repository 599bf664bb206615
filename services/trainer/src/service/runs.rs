//! `graft.v1.TrainingService`.

use futures::{StreamExt, stream};
use graft_chassis::status;
use graft_proto::v1::{
    CancelTrainingRunRequest, CancelTrainingRunResponse, CreateTrainingRunRequest, CreateTrainingRunResponse,
    GetTrainingRunRequest, GetTrainingRunResponse, ListTrainingRunsRequest, ListTrainingRunsResponse, TrainingOptions,
    WatchTrainingRunRequest, WatchTrainingRunResponse, training_service_server::TrainingService,
};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::{Answers, datasets::existing};
use crate::{
    names::{Name, Tenant},
    paging::Page,
    runs::{Runs, ended},
    store::Store,
    train,
};

/// L2 penalties that may be tried, at the most.
const MOST_L2: usize = 64;
/// The strongest penalty.
const STRONGEST_L2: f64 = 1e6;
/// The most iterations that may be asked for.
const MOST_ITERATIONS: u32 = 10_000;

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

fn check(options: &TrainingOptions) -> Result<(), Status> {
    if options.l2.len() > MOST_L2 {
        let found = options.l2.len();
        return Err(status::invalid("options.l2", format!("{found} values; at most {MOST_L2} are accepted")));
    }
    if let Some(bad) = options.l2.iter().find(|l2| !(**l2 > 0.0 && **l2 <= STRONGEST_L2)) {
        return Err(status::invalid(
            "options.l2",
            format!("{bad}; more than 0 and at most {STRONGEST_L2} is accepted"),
        ));
    }
    if options.max_iterations > MOST_ITERATIONS {
        let found = options.max_iterations;
        return Err(status::invalid("options.max_iterations", format!("{found}; 1 to {MOST_ITERATIONS} are accepted")));
    }
    Ok(())
}

#[tonic::async_trait]
impl TrainingService for Training {
    async fn create_training_run(
        &self,
        request: Request<CreateTrainingRunRequest>,
    ) -> Result<Response<CreateTrainingRunResponse>, Status> {
        let CreateTrainingRunRequest { dataset, head, options } = request.into_inner();
        let (tenant, name) = (Tenant::default(), Name::parse("dataset", &dataset)?);
        let head = if head.is_empty() { name.clone() } else { Name::parse("head", &head)? };
        let options = options.unwrap_or_default();
        check(&options)?;
        let row = existing(&self.store, &tenant, &name).await?;
        let examples = self.store.examples(row.id).await?;
        train::check(name.as_str(), &examples).map_err(|message| status::precondition("dataset", message))?;
        let run = self.runs.create(&tenant, name.as_str(), head.as_str(), options).await?;
        Ok(Response::new(CreateTrainingRunResponse { training_run: Some(run) }))
    }

    async fn get_training_run(
        &self,
        request: Request<GetTrainingRunRequest>,
    ) -> Result<Response<GetTrainingRunResponse>, Status> {
        let run = self.runs.get(&Tenant::default(), &request.get_ref().id).await?;
        Ok(Response::new(GetTrainingRunResponse { training_run: Some(run) }))
    }

    async fn list_training_runs(
        &self,
        request: Request<ListTrainingRunsRequest>,
    ) -> Result<Response<ListTrainingRunsResponse>, Status> {
        let ListTrainingRunsRequest { dataset, page_size, page_token } = request.into_inner();
        let page = Page::parse(page_size, &page_token)?;
        if !dataset.is_empty() {
            Name::parse("dataset", &dataset)?;
        }
        let mut training_runs = self.store.runs(&Tenant::default(), &dataset, &page.after, page.read()).await?;
        let next_page_token = page.cut(&mut training_runs, |run| &run.id);
        Ok(Response::new(ListTrainingRunsResponse { training_runs, next_page_token }))
    }

    async fn cancel_training_run(
        &self,
        request: Request<CancelTrainingRunRequest>,
    ) -> Result<Response<CancelTrainingRunResponse>, Status> {
        let run = self.runs.cancel(&Tenant::default(), &request.get_ref().id).await?;
        Ok(Response::new(CancelTrainingRunResponse { training_run: Some(run) }))
    }

    type WatchTrainingRunStream = Answers<WatchTrainingRunResponse>;

    async fn watch_training_run(
        &self,
        request: Request<WatchTrainingRunRequest>,
    ) -> Result<Response<Self::WatchTrainingRunStream>, Status> {
        let id = &request.get_ref().id;
        let answer = |run| Ok(WatchTrainingRunResponse { training_run: Some(run) });
        let Some(live) = self.runs.watch(id) else {
            let run = self.runs.get(&Tenant::default(), id).await?;
            return Ok(Response::new(stream::iter([answer(run)]).boxed()));
        };
        // Up to and with the state that ends it.
        let states = WatchStream::new(live).scan(false, |over, run| {
            let before = std::mem::replace(over, ended(&run));
            std::future::ready((!before).then_some(run))
        });
        Ok(Response::new(states.map(answer).boxed()))
    }
}
