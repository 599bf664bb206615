//! How a run stands, each time that it changes: told by the worker if it is fitted here, else read again and again.

use std::time::Duration;

use futures::{StreamExt, stream, stream::BoxStream};
use graft_chassis::status;
use graft_proto::v1::TrainingRun;
use tokio::sync::watch;
use tonic::Status;

use super::{Runs, ended, live::Live};
use crate::{
    names::Tenant,
    store::retry::{PATIENCE, patiently},
};

/// How often a run is read that is not fitted here. Its trainer writes how it stands once a second.
const READ: Duration = Duration::from_millis(500);

/// A run that is watched.
struct Watched {
    runs: Runs,
    tenant: Tenant,
    id: String,
    /// What was told last.
    last: TrainingRun,
    /// Tells when the worker of this process begins another run.
    begun: watch::Receiver<Option<Live>>,
    /// Where it tells of this one, while it fits it.
    here: Option<watch::Receiver<TrainingRun>>,
}

impl Runs {
    /// Follow a run: as it stands now, then each change, up to and with its end.
    pub async fn follow(
        &self,
        tenant: &Tenant,
        id: &str,
    ) -> Result<BoxStream<'static, Result<TrainingRun, Status>>, Status> {
        let (begun, here) = (self.live.subscribe(), None);
        let last = self.get(tenant, id).await?;
        let watched =
            Watched { runs: self.clone(), tenant: tenant.clone(), id: id.to_owned(), last: last.clone(), begun, here };
        let changes = stream::unfold(Some(watched), |watched| async move {
            let mut watched = watched.filter(|watched| !ended(&watched.last))?;
            Some(match watched.change().await {
                Ok(run) => (Ok(run), Some(watched)),
                Err(status) => (Err(status), None),
            })
        });
        Ok(stream::iter([Ok(last)]).chain(changes).boxed())
    }
}

impl Watched {
    /// How the run stands when it has changed.
    async fn change(&mut self) -> Result<TrainingRun, Status> {
        loop {
            if self.here.is_none() {
                self.here = self.runs.live(&self.tenant, &self.id).map(|live| live.state.subscribe());
            }
            tokio::select! {
                biased;
                told = told(&mut self.here) => if !told { self.here = None },
                () = self.runs.stop.cancelled() => return Err(stopping()),
                _ = self.begun.changed() => {}
                () = tokio::time::sleep(READ) => {}
            }
            let read = patiently!(PATIENCE, self.runs.find(&self.tenant, &self.id))?;
            let run = read.ok_or_else(|| status::internal(format!("the training run {} is gone", self.id)))?;
            if run != self.last {
                self.last = run.clone();
                return Ok(run);
            }
        }
    }
}

/// Wait until the worker of this process tells something; `false` if it does not fit the run any more.
async fn told(here: &mut Option<watch::Receiver<TrainingRun>>) -> bool {
    match here {
        Some(state) => state.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}

fn stopping() -> Status {
    status::unavailable(
        "this trainer is stopping; the run goes on with another, or when one is started again: watch it then",
    )
}
