//! The worker: takes runs and fits them one after the other, so that each has all cores.

use std::time::{Duration, Instant};

use graft_proto::v1::{TrainingRun, TrainingState};
use metrics::{gauge, histogram};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    Runs, count_end,
    live::Live,
    vigil::{BEAT, LOOK, Vigil},
};
use crate::{
    error::{RunError, StoreError},
    fit::FitError,
    store::{
        Store,
        leases::Taken,
        now,
        retry::{PATIENCE, patiently},
        timestamp,
    },
    train,
};

/// A run that was lost with its trainer, or broke off, so often is not taken up again: it may be what kills them.
const MOST_LOSSES: u32 = 10;
/// How long to wait after a run that broke off because the state could not be reached.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the end of a fit is tried to be written: it was long work.
const KEEP: Duration = Duration::from_secs(600);

impl Runs {
    pub(super) async fn work(self) {
        let _stopped = self.stopped.clone().drop_guard();
        // Let go before the guard is: who waits for the stop may open the store again.
        let runs = self;
        let mut vigil = Vigil::default();
        while !runs.stop.is_cancelled() {
            match runs.next(&mut vigil).await {
                Ok(Some(taken)) => runs.fit_one(taken).await,
                Ok(None) => runs.wait(LOOK).await,
                Err(error) => {
                    tracing::warn!(%error, "no run can be taken");
                    runs.wait(LOOK).await;
                }
            }
        }
    }

    async fn wait(&self, most: Duration) {
        tokio::select! {
            () = self.arrived.notified() => {}
            () = self.stop.cancelled() => {}
            () = sleep(most) => {}
        }
    }

    /// Take a run: one that waits, or one whose trainer is gone.
    async fn next(&self, vigil: &mut Vigil) -> Result<Option<Taken>, StoreError> {
        let waiting = self.store.waiting_runs().await?;
        gauge!("graft_trainer_runs_waiting").set(waiting as f64);
        if waiting > 0
            && let Some(taken) = self.store.take_run(&self.owner).await?
        {
            return Ok(Some(taken));
        }
        for gone in vigil.look(self.store.beats().await?, Instant::now()) {
            if let Some(taken) = self.store.take_over(&self.owner, &gone).await? {
                tracing::warn!(run = gone.run, losses = taken.losses, "taking over a run whose trainer is gone");
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    async fn fit_one(&self, taken: Taken) {
        let (begun, losses) = (Instant::now(), taken.losses);
        let live = Live::new(taken);
        tracing::info!(run = live.lease.run, lease = live.lease.number, "fitting a run");
        self.live.send_replace(Some(live.clone()));
        let heart = tokio::spawn(beat(self.store.clone(), live.clone()));
        let fitted = match losses {
            MOST_LOSSES.. => Err(RunError::GivenUp(losses)),
            _ => self.fit(&live).await,
        };
        let ended = self.conclude(&live, fitted).await;
        heart.abort();
        // It has the store: who waits for the stop may open that again. How it ended does not matter.
        let _ = heart.await;
        if let Some(ended) = ended {
            let (state, seconds) = (ended.state(), begun.elapsed().as_secs_f64());
            histogram!("graft_trainer_run_seconds").record(seconds);
            tracing::info!(run = ended.id, ?state, error = ended.error, seconds, "run ended");
            count_end(state);
            live.state.send_replace(ended);
        }
        self.live.send_replace(None);
    }

    /// Fit a run and register its head. Gives back the run as it ended; `None` if another trainer fits it.
    async fn fit(&self, live: &Live) -> Result<Option<TrainingRun>, RunError> {
        if live.is_cancelled() {
            return Err(FitError::Cancelled.into());
        }
        let (told, stop) = (live.clone(), self.stop.clone());
        let watch = move |progress| {
            told.state.send_modify(|run| run.progress = Some(progress));
            !told.is_cancelled() && !told.is_lost() && !stop.is_cancelled()
        };
        let trained = train::run(&self.store, &live.tenant, &live.run(), self.most_bytes, watch).await?;
        let mut run = live.run();
        run.set_head_kind(trained.kind);
        run.head_kind_trials = trained.comparison;
        run.head_kind_reason = trained.reason;
        let register =
            || self.store.register(&live.tenant, trained.head.clone(), &trained.weights, run.clone(), &live.lease);
        tokio::select! {
            registered = async { patiently!(KEEP, register()) } => Ok(registered?),
            () = self.stop.cancelled() => Err(FitError::Cancelled.into()),
        }
    }

    /// Write what came of a fit. Gives back the run if it has ended.
    async fn conclude(&self, live: &Live, fitted: Result<Option<TrainingRun>, RunError>) -> Option<TrainingRun> {
        let id = &live.lease.run;
        match fitted {
            Ok(Some(run)) => Some(run),
            Ok(None) => lost(live),
            Err(RunError::Fit(FitError::Cancelled)) if live.is_lost() => lost(live),
            Err(RunError::Fit(FitError::Cancelled)) if live.is_cancelled() => {
                self.end(live, TrainingState::Cancelled, String::new()).await
            }
            // Stopped with the process, not by a person: another trainer takes it up, or this one when it is started again.
            Err(RunError::Fit(FitError::Cancelled)) => self.release(live, false).await,
            Err(RunError::Store(error)) if error.is_passing() => {
                tracing::warn!(run = id, %error, "the state could not be reached for a run; it waits again");
                self.release(live, true).await;
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = sleep(PAUSE) => {}
                }
                None
            }
            Err(error) => self.end(live, TrainingState::Failed, error.to_string()).await,
        }
    }

    async fn end(&self, live: &Live, state: TrainingState, error: String) -> Option<TrainingRun> {
        let mut run = live.run();
        run.set_state(state);
        run.error = error;
        run.end_time = Some(timestamp(now()));
        match patiently!(PATIENCE, self.store.end_run(&live.lease, &run)) {
            Ok(true) => Some(run),
            Ok(false) => lost(live),
            Err(error) => {
                tracing::error!(run = run.id, %error, "the end of a run could not be written; it is taken up again");
                None
            }
        }
    }

    async fn release(&self, live: &Live, is_loss: bool) -> Option<TrainingRun> {
        let released = patiently!(PATIENCE, self.store.release_run(&live.lease, is_loss));
        if let Err(error) = released {
            tracing::warn!(run = live.lease.run, %error, "a run could not be let go; it is taken over in a while");
        }
        None
    }
}

fn lost(live: &Live) -> Option<TrainingRun> {
    tracing::warn!(run = live.lease.run, lease = live.lease.number, "another trainer has taken the run over");
    None
}

/// Tell the others that a run is being fitted still, and hear whether to stop.
async fn beat(store: Store, live: Live) {
    let mut every = interval(BEAT);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match store.beat(&live.lease, &live.run()).await {
            Ok(Some(true)) => live.cancel(),
            Ok(Some(false)) => {}
            Ok(None) => return live.lose(),
            // The fit goes on: whether it still counts is decided where its head is registered.
            Err(error) => tracing::warn!(run = live.lease.run, %error, "a beat could not be written"),
        }
    }
}
