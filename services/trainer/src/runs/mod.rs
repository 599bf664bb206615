//! Training runs: queued, fitted one after the other, followed and cancelled.
//!
//! # Layout
//! - [`table`] holds the runs that have not ended.
//! - `worker` fits them.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use graft_chassis::status;
use graft_proto::v1::{TrainingOptions, TrainingRun, TrainingState};
use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use self::table::{Cancelled, Live, Table};
use crate::{
    error::StoreError,
    names::{Name, Tenant},
    store::{Store, now, timestamp},
};

pub mod table;
mod worker;

/// Runs that may wait.
const MOST_WAITING: usize = 1000;
/// How long cancelling waits for a fit to stop; it does so after its iteration.
const CANCEL: Duration = Duration::from_secs(10);

/// The way to the runs and to their worker.
#[derive(Clone, Debug)]
pub struct Runs {
    store: Store,
    /// Bytes of embeddings that a run may hold in memory.
    most_bytes: usize,
    table: Arc<Mutex<Table>>,
    /// Told of each new run.
    arrived: Arc<Notify>,
    stop: CancellationToken,
    /// Cancelled by the worker when it has stopped.
    stopped: CancellationToken,
}

/// Whether a run has ended.
pub fn ended(run: &TrainingRun) -> bool {
    matches!(run.state(), TrainingState::Succeeded | TrainingState::Failed | TrainingState::Cancelled)
}

impl Runs {
    /// Start the worker; it takes up what an earlier process left unfinished. It stops when `stop` says so.
    pub async fn start(store: Store, most_bytes: usize, stop: CancellationToken) -> Result<Runs, StoreError> {
        let mut table = Table::default();
        for (tenant, run) in store.unfinished_runs().await? {
            tracing::info!(run = run.id, dataset = run.dataset, "taking up an unfinished run");
            table.insert(Live::new(tenant, run));
        }
        let (table, stopped) = (Arc::new(Mutex::new(table)), CancellationToken::new());
        let runs = Runs { store, most_bytes, table, arrived: Arc::default(), stop, stopped };
        tokio::spawn(runs.clone().work());
        Ok(runs)
    }

    /// Wait until the worker has stopped, once it was told to.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// The bytes of embeddings that a run may hold in memory.
    pub fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Queue a new run on a snapshot of `dataset`; on what it holds when the run's turn comes, if `snapshot` is empty.
    pub async fn create(
        &self,
        tenant: &Tenant,
        dataset: &str,
        head: &str,
        snapshot: &str,
        options: TrainingOptions,
    ) -> Result<TrainingRun, Status> {
        if self.table.lock().waiting() >= MOST_WAITING {
            let message = format!("{MOST_WAITING} runs wait already; wait for one to end, or cancel some");
            return Err(status::exhausted("training_runs", message));
        }
        // The dataset is there; and if it has just gone, the run says so when its turn comes.
        let name = Name::parse("dataset", dataset)?;
        let augmentation = self.store.dataset(tenant, &name).await?.and_then(|row| row.augmentation);
        let run = TrainingRun {
            augmentation,
            id: Uuid::now_v7().to_string(),
            dataset: dataset.to_owned(),
            head: head.to_owned(),
            snapshot: snapshot.to_owned(),
            options: Some(options),
            state: TrainingState::Queued as i32,
            progress: Some(Default::default()),
            create_time: Some(timestamp(now())),
            ..Default::default()
        };
        // It is on disk before the worker can change it.
        self.store.put_run(tenant, &run).await?;
        self.table.lock().insert(Live::new(tenant.clone(), run.clone()));
        self.arrived.notify_one();
        Ok(run)
    }

    /// A run as it stands.
    pub async fn get(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        let live = self.table.lock().get(tenant, id).map(Live::run);
        if let Some(run) = live {
            return Ok(run);
        }
        let hint = "ListTrainingRuns tells those there are";
        self.store.run(tenant, id).await?.ok_or_else(|| status::not_found("training run", id, hint))
    }

    /// Runs on `dataset`, or all if that is empty; see [`Store::runs`].
    pub async fn list(
        &self,
        tenant: &Tenant,
        dataset: &str,
        before: &str,
        most: u32,
    ) -> Result<Vec<TrainingRun>, StoreError> {
        let mut runs = self.store.runs(tenant, dataset, before, most).await?;
        let table = self.table.lock();
        for run in runs.iter_mut().filter(|run| !ended(run)) {
            if let Some(live) = table.get(tenant, &run.id) {
                *run = live.run();
            }
        }
        Ok(runs)
    }

    /// Follow a run: as it stands now, then each change, up to and with its end.
    pub async fn follow(
        &self,
        tenant: &Tenant,
        id: &str,
    ) -> Result<BoxStream<'static, Result<TrainingRun, Status>>, Status> {
        let live = self.table.lock().get(tenant, id).map(|live| live.state.subscribe());
        match live {
            Some(state) => Ok(changes(state, self.stop.clone())),
            None => Ok(stream::iter([Ok(self.get(tenant, id).await?)]).boxed()),
        }
    }

    /// Stop a run, unless it has ended, and give it back as it stands then.
    pub async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        let cancelled = self.table.lock().cancel(tenant, id);
        match cancelled {
            Some(Cancelled::Waiting(live)) => {
                let mut run = live.run();
                run.set_state(TrainingState::Cancelled);
                self.end(&live, run).await?;
            }
            Some(Cancelled::Running(mut state)) => {
                // Either way, what is told is how the run stands now.
                let _ = tokio::time::timeout(CANCEL, state.wait_for(ended)).await;
            }
            None => {}
        }
        self.get(tenant, id).await
    }

    /// Write that a run has ended, and tell whoever watches.
    async fn end(&self, live: &Live, mut run: TrainingRun) -> Result<(), StoreError> {
        if run.end_time.is_none() {
            run.end_time = Some(timestamp(now()));
            self.store.put_run(&live.tenant, &run).await?;
        }
        counter!("graft_trainer_runs_total", "state" => run.state().as_str_name()).increment(1);
        let id = run.id.clone();
        live.state.send_replace(run);
        self.table.lock().remove(&id);
        Ok(())
    }
}

fn changes(
    state: watch::Receiver<TrainingRun>,
    stop: CancellationToken,
) -> BoxStream<'static, Result<TrainingRun, Status>> {
    let stopping = || {
        status::unavailable("the trainer is stopping; it takes the run up when it is started again, so watch it then")
    };
    stream::unfold(Some((state, true)), move |watched| {
        let stop = stop.clone();
        async move {
            let (mut state, first) = watched?;
            if !first {
                let changed = tokio::select! {
                    biased;
                    changed = state.changed() => changed.is_ok(),
                    () = stop.cancelled() => false,
                };
                if !changed {
                    return Some((Err(stopping()), None));
                }
            }
            let run = state.borrow_and_update().clone();
            let next = (!ended(&run)).then_some((state, false));
            Some((Ok(run), next))
        }
    })
    .boxed()
}
