//! A training run, followed until it ends.

use futures::{StreamExt, TryStreamExt, stream};
use graft_proto::v1::{TrainingRun, TrainingState, WatchTrainingRunRequest, WatchTrainingRunResponse};
use tonic::Streaming;

use crate::{Error, Replies, Service, retry::random};

struct Watching {
    trainer: Service,
    id: String,
    /// None when it was lost.
    inbound: Option<Streaming<WatchTrainingRunResponse>>,
    ended: bool,
    /// Whether anything was ever told.
    begun: bool,
    /// How often in a row it was opened, and told nothing.
    vain: u32,
}

/// Follow a training run: how it stands now, then each change, until it has ended. If the connection is lost, the watch is
/// taken up again; a state may be told twice then, and changes that came meanwhile are not told.
///
/// # Errors
/// The service's refusal, here, or [`Error::Unreachable`], here or later.
pub async fn watch(trainer: &Service, id: &str) -> Result<Replies<TrainingRun>, Error> {
    let inbound = Some(open(trainer, id).await?);
    let watching =
        Watching { trainer: trainer.clone(), id: id.to_owned(), inbound, ended: false, begun: false, vain: 0 };
    let states =
        stream::try_unfold(watching, async |mut watching| Ok(watching.next().await?.map(|run| (run, watching))));
    Ok(states.boxed())
}

/// Wait until a training run has ended, however it ends.
///
/// # Errors
/// As of [`watch`].
pub async fn wait_for(trainer: &Service, id: &str) -> Result<TrainingRun, Error> {
    let last = watch(trainer, id).await?.try_fold(None, async |_, run| Ok(Some(run))).await?;
    last.ok_or_else(|| trainer.incomplete())
}

/// Whether nothing more will come of a run.
pub fn has_ended(run: &TrainingRun) -> bool {
    matches!(run.state(), TrainingState::Succeeded | TrainingState::Failed | TrainingState::Cancelled)
}

async fn open(trainer: &Service, id: &str) -> Result<Streaming<WatchTrainingRunResponse>, Error> {
    let answer = trainer.training().watch_training_run(WatchTrainingRunRequest { id: id.to_owned() }).await;
    Ok(answer.map_err(|status| trainer.error(status))?.into_inner())
}

impl Watching {
    async fn next(&mut self) -> Result<Option<TrainingRun>, Error> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let error = match self.try_next().await {
                Ok(run) => {
                    (self.begun, self.vain, self.ended) = (true, 0, has_ended(&run));
                    return Ok(Some(run));
                }
                Err(error) => error,
            };
            self.inbound = None;
            self.vain += 1;
            let pause = self.trainer.resume().pause(self.vain, error.retry_after(), random());
            match pause.filter(|_| self.begun && error.is_retryable()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn try_next(&mut self) -> Result<TrainingRun, Error> {
        let inbound = match &mut self.inbound {
            Some(inbound) => inbound,
            lost => lost.insert(open(&self.trainer, &self.id).await?),
        };
        let message = inbound.message().await.map_err(|status| self.trainer.error(status))?;
        let message = message.ok_or_else(|| self.trainer.incomplete())?;
        message.training_run.ok_or_else(|| self.trainer.malformed("a change without a run"))
    }
}
