//! One run: from a dataset's examples to a head with its report.
//!
//! # Layout
//! - [`snapshot`] is the dataset at one moment, checked and planned.
//! - [`options`] are the choices of the person who trains.
//! - [`report`](mod@report) is the evidence that the head is accepted on.

use std::ops::ControlFlow;

use graft_proto::v1::{Head, HeadKind, HeadKindTrial, TrainingPhase, TrainingProgress, TrainingRun};
use tokio::task::spawn_blocking;

use self::{options::OptionError, report::report, snapshot::Snapshot};
use crate::{
    error::RunError,
    fit::{self, Phase, Progress, TrainingData, head},
    names::{Name, Tenant},
    store::{Store, now, timestamp},
};

pub mod options;
pub mod report;
pub mod snapshot;

/// The part of a run that is done when the fit is.
const FITTED: f64 = 0.95;

/// What came of a run.
#[derive(Debug)]
pub struct Trained {
    /// The head, which has no version yet.
    pub head: Head,
    /// Its weights.
    pub weights: head::Head,
    /// Its kind.
    pub kind: HeadKind,
    /// The kinds that were compared, the best first.
    pub comparison: Vec<HeadKindTrial>,
}

/// Fit a head for `run` and measure it. At most
/// `most_bytes` of embeddings are held in memory. `watch` is told of the progress and answers whether to go on.
pub async fn run(
    store: &Store,
    tenant: &Tenant,
    run: &TrainingRun,
    most_bytes: usize,
    mut watch: impl FnMut(TrainingProgress) -> bool + Send + 'static,
) -> Result<Trained, RunError> {
    watch(progress(TrainingPhase::Load, 0.0));
    let gone = || RunError::Dataset(format!("dataset `{}` was deleted before the run's turn came", run.dataset));
    let name = Name::parse("dataset", &run.dataset).map_err(|_| gone())?;
    let dataset = store.dataset(tenant, &name).await?.ok_or_else(gone)?;
    let snapshot = Snapshot::of_run(store, tenant, &dataset, run).await?;
    let unusable = |error: OptionError| RunError::Dataset(error.to_string());
    let mut options = options::parse(run.options.as_ref()).map_err(unusable)?;
    options::weigh(&mut options, run.options.as_ref(), &snapshot.labels).map_err(unusable)?;
    snapshot.check(&dataset, &options, most_bytes).map_err(RunError::Dataset)?;

    let plan = &snapshot.plan;
    let fit_on = snapshot.classes(&[&plan.train[..], &plan.validation].concat());
    let measure_on = snapshot.classes(&plan.test);
    let (classes, train, dimension) = (snapshot.labels.len(), plan.train.len(), dataset.dimension as usize);
    let mut embeddings = store.embeddings(tenant, &dataset, &snapshot.hashes()).await?;
    let held_out = embeddings.split_off(fit_on.len() * dimension);

    let data = TrainingData::new(embeddings, dimension, fit_on, classes, train)?;
    let (fitted, probabilities) = blocking(move || {
        let fitted = fit::fit_head(data, &options, &mut |now| match watch(describe(now)) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })?;
        watch(progress(TrainingPhase::Evaluate, FITTED));
        let probabilities = probabilities(&fitted.head, held_out)?;
        Ok::<_, fit::FitError>((fitted, probabilities))
    })
    .await??;

    let report = report(&snapshot, &fitted, &probabilities, &measure_on);
    let head = Head {
        name: run.head.clone(),
        version: 0,
        space: dataset.space,
        backbone: dataset.backbone,
        labels: snapshot.labels,
        dimension: dataset.dimension,
        report: Some(report),
        dataset: run.dataset.clone(),
        training_run: run.id.clone(),
        create_time: Some(timestamp(now())),
        graft_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let comparison = fitted.comparison.iter().map(|trial| HeadKindTrial {
        kind: options::name(trial.kind) as i32,
        setting: trial.setting,
        log_loss: trial.log_loss,
        accuracy: trial.accuracy,
    });
    let comparison = comparison.collect();
    Ok(Trained { head, weights: fitted.head, kind: options::name(fitted.kind), comparison })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    spawn_blocking(work).await.map_err(|error| RunError::Broken(error.to_string()))
}

/// The probabilities of the classes for `embeddings`, `[rows, dimension]`: `[rows, classes]`.
fn probabilities(head: &head::Head, embeddings: Vec<f32>) -> Result<Vec<f32>, candle_core::Error> {
    let rows = embeddings.len() / head.dimension();
    if rows == 0 {
        return Ok(Vec::new());
    }
    let mut logits = head.logits(embeddings, rows)?;
    logits.chunks_exact_mut(head.classes()).for_each(|row| head.probabilities(row));
    Ok(logits)
}

fn progress(phase: TrainingPhase, fraction: f64) -> TrainingProgress {
    TrainingProgress { phase: phase as i32, fraction, ..Default::default() }
}

fn describe(now: Progress) -> TrainingProgress {
    let phase = match now.phase {
        Phase::Select => TrainingPhase::Select,
        Phase::CrossValidate => TrainingPhase::CrossValidate,
        Phase::Refit => TrainingPhase::Refit,
    };
    TrainingProgress {
        phase: phase as i32,
        fraction: now.fraction * FITTED,
        iterations: now.iterations,
        loss: now.loss,
        validation_loss: now.validation_loss.unwrap_or_default(),
        validation_accuracy: now.validation_accuracy.unwrap_or_default(),
    }
}
