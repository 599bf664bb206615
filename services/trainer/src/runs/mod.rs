//! Training runs: queued, fitted one after the other by any trainer of the database, followed and cancelled through any.
//!
//! # Layout
//! - `worker` takes runs and fits them; [`live`] is the one that is fitted here.
//! - [`vigil`] finds the runs whose trainer is gone.
//! - `follow` tells how a run stands, each time that it changes.

use std::{sync::Arc, time::Duration};

use graft_chassis::status;
use graft_proto::v1::{TrainingOptions, TrainingRun, TrainingState};
use metrics::counter;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use self::live::Live;
use crate::{
    error::StoreError,
    names::{Name, Tenant},
    store::{Store, now, timestamp},
};

mod follow;
pub mod live;
pub mod vigil;
mod worker;

/// Runs that may wait.
const MOST_WAITING: u64 = 1000;
/// How long cancelling waits for a fit to stop; it does so after its iteration.
const CANCEL: Duration = Duration::from_secs(10);
/// How often it is looked at meanwhile.
const CANCEL_LOOK: Duration = Duration::from_millis(100);

/// The way to the runs and to the worker of this process.
#[derive(Clone, Debug)]
pub struct Runs {
    store: Store,
    /// Bytes of embeddings that a run may hold in memory.
    most_bytes: usize,
    /// What this process is called in the rows of the runs that it fits.
    owner: Arc<str>,
    /// The run that is fitted here.
    live: Arc<watch::Sender<Option<Live>>>,
    /// Told of each run that is created here.
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
        if !store.is_shared() {
            // Nobody else fits any, so there is no need to wait until that shows.
            store.release_all_runs().await?;
        }
        let runs = Runs {
            store,
            most_bytes,
            owner: Uuid::now_v7().to_string().into(),
            live: Arc::new(watch::Sender::new(None)),
            arrived: Arc::default(),
            stop,
            stopped: CancellationToken::new(),
        };
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
        if self.store.waiting_runs().await? >= MOST_WAITING {
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
        self.store.put_run(tenant, &run).await?;
        self.arrived.notify_one();
        Ok(run)
    }

    /// A run as it stands.
    pub async fn get(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        let hint = "ListTrainingRuns tells those there are";
        self.find(tenant, id).await?.ok_or_else(|| status::not_found("training run", id, hint))
    }

    /// A run as it stands, if there is one.
    async fn find(&self, tenant: &Tenant, id: &str) -> Result<Option<TrainingRun>, StoreError> {
        match self.live(tenant, id) {
            Some(live) => Ok(Some(live.run())),
            None => self.store.run(tenant, id).await,
        }
    }

    /// A run, if it is fitted here.
    fn live(&self, tenant: &Tenant, id: &str) -> Option<Live> {
        self.live.borrow().as_ref().filter(|live| live.is(tenant, id)).cloned()
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
        for run in runs.iter_mut().filter(|run| !ended(run)) {
            if let Some(live) = self.live(tenant, &run.id) {
                *run = live.run();
            }
        }
        Ok(runs)
    }

    /// Stop a run, unless it has ended, and give it back as it stands then. Whoever fits it stops soon after.
    pub async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        if self.store.cancel_run(tenant, id).await? {
            count_end(TrainingState::Cancelled);
        }
        if let Some(live) = self.live(tenant, id) {
            live.cancel();
        }
        let begun = Instant::now();
        loop {
            let run = self.get(tenant, id).await?;
            // Either way, what is told is how the run stands now.
            if ended(&run) || begun.elapsed() >= CANCEL {
                return Ok(run);
            }
            tokio::time::sleep(CANCEL_LOOK).await;
        }
    }
}

fn count_end(state: TrainingState) {
    counter!("graft_trainer_runs_total", "state" => state.as_str_name()).increment(1);
}
