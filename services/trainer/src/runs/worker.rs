//! The worker: fits one run after the other, so that each has all cores.

use std::time::Instant;

use graft_proto::v1::{TrainingRun, TrainingState};
use metrics::histogram;

use super::{Runs, table::Live};
use crate::{error::RunError, fit::FitError, train};

impl Runs {
    pub(super) async fn work(self) {
        let _stopped = self.stopped.clone().drop_guard();
        // Let go before the guard is: who waits for the stop may open the store again.
        let runs = self;
        while !runs.stop.is_cancelled() {
            let begun = runs.table.lock().begin();
            match begun {
                Some(live) => runs.fit_one(live).await,
                None => tokio::select! {
                    () = runs.arrived.notified() => {}
                    () = runs.stop.cancelled() => {}
                },
            }
        }
    }

    async fn fit_one(&self, live: Live) {
        let begun = Instant::now();
        let ended = match self.fit(&live).await {
            Ok(run) => run,
            // Stopped with the process, not by a person: it is taken up at the next start.
            Err(RunError::Fit(FitError::Cancelled)) if !live.is_cancelled() => return,
            Err(RunError::Fit(FitError::Cancelled)) => stopped(&live, TrainingState::Cancelled, String::new()),
            Err(error) => stopped(&live, TrainingState::Failed, error.to_string()),
        };
        let (state, seconds) = (ended.state(), begun.elapsed().as_secs_f64());
        histogram!("graft_trainer_run_seconds").record(seconds);
        tracing::info!(run = ended.id, ?state, error = ended.error, seconds, "run ended");
        let run = ended.id.clone();
        if let Err(error) = self.end(&live, ended).await {
            tracing::error!(run, %error, "the end of a run could not be written; it is taken up at the next start");
            self.table.lock().remove(&run);
        }
    }

    /// Fit a run and register its head. Gives back the run as it ended.
    async fn fit(&self, live: &Live) -> Result<TrainingRun, RunError> {
        let run = live.run();
        self.store.put_run(&live.tenant, &run).await?;
        let (told, stop) = (live.clone(), self.stop.clone());
        let watch = move |progress| {
            told.state.send_modify(|run| run.progress = Some(progress));
            !told.is_cancelled() && !stop.is_cancelled()
        };
        let trained = train::run(&self.store, &live.tenant, &run, self.most_bytes, watch).await?;
        let mut run = live.run();
        run.set_head_kind(trained.kind);
        run.head_kind_trials = trained.comparison;
        run.head_kind_reason = trained.reason;
        Ok(self.store.register(&live.tenant, trained.head, &trained.weights, run).await?)
    }
}

fn stopped(live: &Live, state: TrainingState, error: String) -> TrainingRun {
    let mut run = live.run();
    run.set_state(state);
    run.error = error;
    run
}
