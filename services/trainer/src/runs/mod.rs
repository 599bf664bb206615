//! Training runs under way: one worker fits them one after the other, and whoever wants to may watch.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use graft_chassis::status;
use graft_proto::v1::{TrainingOptions, TrainingRun, TrainingState};
use metrics::{counter, histogram};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tonic::Status;
use uuid::Uuid;

use crate::{
    error::{RunError, StoreError},
    fit::FitError,
    names::Tenant,
    store::{Store, now, timestamp},
    train,
};

/// Runs that may wait.
const QUEUE: usize = 1000;

/// The runs that have not ended, and the way to the worker.
#[derive(Clone, Debug)]
pub struct Runs {
    store: Store,
    live: Arc<Mutex<HashMap<String, Live>>>,
    queue: mpsc::Sender<(Tenant, String)>,
}

/// A run that has not ended.
#[derive(Clone, Debug)]
pub struct Live {
    state: Arc<watch::Sender<TrainingRun>>,
    cancelled: Arc<AtomicBool>,
}

/// Whether a run has ended.
pub fn ended(run: &TrainingRun) -> bool {
    matches!(run.state(), TrainingState::Succeeded | TrainingState::Failed | TrainingState::Cancelled)
}

impl Runs {
    /// Start the worker; it takes up what an earlier process left unfinished.
    pub async fn start(store: Store) -> Result<Runs, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let unfinished = store.unfinished_runs().await?;
        let runs = Runs { store, live: Arc::default(), queue };
        tokio::spawn(runs.clone().work(waiting));
        for run in unfinished {
            tracing::info!(run = run.id, dataset = run.dataset, "taking up an unfinished run");
            runs.enlist(&Tenant::default(), run).await;
        }
        Ok(runs)
    }

    /// Queue a new run.
    pub async fn create(
        &self,
        tenant: &Tenant,
        dataset: &str,
        head: &str,
        options: TrainingOptions,
    ) -> Result<TrainingRun, Status> {
        if self.live.lock().len() >= QUEUE {
            return Err(status::exhausted("training_runs", format!("{QUEUE} runs wait already; try again later")));
        }
        let run = TrainingRun {
            id: Uuid::now_v7().to_string(),
            dataset: dataset.to_owned(),
            head: head.to_owned(),
            options: Some(options),
            state: TrainingState::Queued as i32,
            progress: Some(Default::default()),
            create_time: Some(timestamp(now())),
            ..Default::default()
        };
        self.store.put_run(tenant, &run).await?;
        self.enlist(tenant, run.clone()).await;
        Ok(run)
    }

    /// A run as it stands.
    pub async fn get(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        if let Some(live) = self.watch(id) {
            return Ok(live.borrow().clone());
        }
        let hint = "ListTrainingRuns tells those there are";
        let shown: String = id.chars().take(80).collect();
        self.store.run(tenant, id).await?.ok_or_else(|| status::not_found("training run", &shown, hint))
    }

    /// Follow a run that has not ended.
    pub fn watch(&self, id: &str) -> Option<watch::Receiver<TrainingRun>> {
        self.live.lock().get(id).map(|live| live.state.subscribe())
    }

    /// Stop a run, unless it has ended, and wait until it is.
    pub async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<TrainingRun, Status> {
        let live = self.live.lock().get(id).cloned();
        if let Some(live) = live {
            live.cancelled.store(true, Ordering::Release);
            let mut state = live.state.subscribe();
            drop(live);
            if state.borrow().state() == TrainingState::Running {
                // The sender is dropped with the run; then the state is in the store.
                let _ = state.wait_for(ended).await;
            } else {
                self.end(tenant, id, TrainingState::Cancelled, String::new(), 0).await?;
            }
        }
        self.get(tenant, id).await
    }

    async fn enlist(&self, tenant: &Tenant, run: TrainingRun) {
        let id = run.id.clone();
        let live = Live { state: Arc::new(watch::Sender::new(run)), cancelled: Arc::default() };
        self.live.lock().insert(id.clone(), live);
        // The worker ends with the process, and so does everything else.
        let _ = self.queue.send((tenant.clone(), id)).await;
    }

    async fn work(self, mut waiting: mpsc::Receiver<(Tenant, String)>) {
        while let Some((tenant, id)) = waiting.recv().await {
            let Some(live) = self.live.lock().get(&id).cloned() else { continue };
            if live.cancelled.load(Ordering::Acquire) {
                continue;
            }
            let begun = std::time::Instant::now();
            let (state, error, version) = match self.fit(&tenant, &live).await {
                Ok(version) => (TrainingState::Succeeded, String::new(), version),
                Err(RunError::Fit(FitError::Cancelled)) => (TrainingState::Cancelled, String::new(), 0),
                Err(error) => (TrainingState::Failed, error.to_string(), 0),
            };
            histogram!("graft_trainer_run_seconds").record(begun.elapsed().as_secs_f64());
            tracing::info!(run = id, ?state, error, seconds = begun.elapsed().as_secs_f64(), "run ended");
            if let Err(error) = self.end(&tenant, &id, state, error, version).await {
                tracing::error!(run = id, %error, "the end of the run could not be written; it is taken up at the next start");
            }
        }
    }

    async fn fit(&self, tenant: &Tenant, live: &Live) -> Result<u32, RunError> {
        live.state.send_modify(|run| run.set_state(TrainingState::Running));
        let run = live.state.borrow().clone();
        self.store.put_run(tenant, &run).await?;
        let (state, cancelled) = (live.state.clone(), live.cancelled.clone());
        let watch = move |progress| {
            state.send_modify(|run| run.progress = Some(progress));
            !cancelled.load(Ordering::Acquire)
        };
        train::run(&self.store, tenant, &run, watch).await
    }

    async fn end(
        &self,
        tenant: &Tenant,
        id: &str,
        state: TrainingState,
        error: String,
        head_version: u32,
    ) -> Result<(), StoreError> {
        let Some(live) = self.live.lock().get(id).cloned() else { return Ok(()) };
        let mut run = live.state.borrow().clone();
        run.set_state(state);
        run.error = error;
        run.head_version = head_version;
        run.end_time = Some(timestamp(now()));
        self.store.put_run(tenant, &run).await?;
        counter!("graft_trainer_runs_total", "state" => state.as_str_name()).increment(1);
        live.state.send_replace(run);
        self.live.lock().remove(id);
        Ok(())
    }
}
