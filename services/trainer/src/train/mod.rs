//! One run: from a dataset's examples to a head with its report.
//!
//! # Layout
//! - [`snapshot`] is the dataset at one moment, checked and planned.
//! - [`rows`] is what of it is fitted on, with the views of examples.
//! - [`options`] are the choices of the person who trains.
//! - [`effort`] says which evidence is gathered; [`evidence`] gathers it.
//! - [`report`](mod@report) is the evidence that the head is accepted on; [`warnings`](mod@warnings) is what speaks against it.
//! - [`told`] is what whoever watches hears.

use graft_proto::v1::{Head, HeadKind, HeadKindTrial, TrainingProgress, TrainingRun};
use tokio::task::spawn_blocking;

use self::{
    effort::{Effort, Step},
    evidence::{Evidence, Fitted, Labelled, gather, logits},
    options::OptionError,
    report::{Tuned, report},
    rows::FitRows,
    snapshot::Snapshot,
    told::Told,
};
use crate::{
    error::{RunError, StoreError},
    fit::{self, FitOptions, TrainingData, head},
    names::{Name, Tenant},
    store::{Store, datasets::DatasetRow, now, timestamp},
};

pub mod effort;
pub mod evidence;
pub mod options;
pub mod report;
pub mod rows;
pub mod snapshot;
pub mod told;
pub mod warnings;

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
    watch(TrainingProgress { phase: Step::Load.phase() as i32, ..Default::default() });
    let gone = || RunError::Dataset(format!("dataset `{}` was deleted before the run's turn came", run.dataset));
    let name = Name::parse("dataset", &run.dataset).map_err(|_| gone())?;
    let mut dataset = store.dataset(tenant, &name).await?.ok_or_else(gone)?;
    dataset.augmentation = run.augmentation.clone();
    let snapshot = Snapshot::of_run(store, tenant, &dataset, run).await?;
    let unusable = |error: OptionError| RunError::Dataset(error.to_string());
    let mut options = options::parse(run.options.as_ref()).map_err(unusable)?;
    options::weigh(&mut options, run.options.as_ref(), &snapshot.labels).map_err(unusable)?;
    snapshot.check(&dataset, &options, most_bytes).map_err(RunError::Dataset)?;

    let plan = &snapshot.plan;
    let fit_on = snapshot.classes(&[&plan.train[..], &plan.validation].concat());
    let (classes, dimension) = (snapshot.labels.len(), dataset.dimension as usize);
    let rows = FitRows::new(plan, dataset.views());
    let mut embeddings = store.view_embeddings(tenant, &dataset, &snapshot.keys(&rows)).await?;
    let held_out = embeddings.split_off(rows.rows.len() * dimension);
    let test = Labelled { embeddings: held_out, classes: snapshot.classes(&plan.test) };
    let effort = effort(run, fit_on.len(), classes, fit_on.len() * dimension * size_of::<f32>(), most_bytes);
    let mut told = Told::new(Box::new(watch), effort);

    let of_rows = snapshot.classes(&rows.examples());
    let mut data = TrainingData::new(embeddings, dimension, of_rows, classes, rows.train)?;
    if let Some(own) = rows.own {
        data = data.with_views(own)?;
    }
    let fit_options = options.clone();
    let (fitted, mut told) = blocking(move || {
        let fitted = fit::fit_head(data, &fit_options, &mut |now| told.fit(now))?;
        told.at(Step::Measure, 0.0)?;
        Ok::<_, fit::FitError>((fitted, told))
    })
    .await??;
    let link = fitted.head.link();
    let validation = snapshot.classes(&plan.validation);
    let tuned = Tuned::choose(fitted.selection_logits.as_deref(), &validation, classes, link);
    let options = FitOptions { head: fitted.kind, ..options };
    let how = Fitted { options, l2: fitted.l2, link, temperature: tuned.temperature, classes, dimension };

    // The fit has used its embeddings up. Reading them again takes less than a copy would that is held all along.
    let again = read_again(store, tenant, &dataset, &snapshot, fit_on).await?;
    let (fitted, logits, test, evidence) = blocking(move || {
        let logits = logits(&fitted.head, &test.embeddings)?;
        let evidence = match again {
            Some(fit_on) => gather(&how, fit_on, &test, effort, &mut told)?,
            None => Evidence::default(),
        };
        Ok::<_, fit::FitError>((fitted, logits, test.classes, evidence))
    })
    .await??;

    let (mut fitted, report) = blocking({
        let snapshot = snapshot.clone();
        move || {
            let report = report(&snapshot, &fitted, tuned, &logits, &test, &evidence);
            (fitted, report)
        }
    })
    .await?;
    fitted.head.scale(tuned.temperature);
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

fn effort(run: &TrainingRun, rows: usize, classes: usize, bytes: usize, most_bytes: usize) -> Effort {
    let wanted = run.options.as_ref().and_then(|options| options.evidence.as_ref());
    Effort::new(wanted, rows, classes, bytes, most_bytes)
}

/// The embeddings that were fitted on; `None` if they have gone with their dataset: the head is good all the same.
async fn read_again(
    store: &Store,
    tenant: &Tenant,
    dataset: &DatasetRow,
    snapshot: &Snapshot,
    classes: Vec<u32>,
) -> Result<Option<Labelled>, RunError> {
    match store.embeddings(tenant, dataset, &snapshot.hashes()[..classes.len()]).await {
        Ok(embeddings) => Ok(Some(Labelled { embeddings, classes })),
        Err(StoreError::Damaged { file, reason }) => {
            tracing::warn!(dataset = dataset.name, file, reason, "the evidence of a head is not complete");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    spawn_blocking(work).await.map_err(|error| RunError::Broken(error.to_string()))
}
