//! One run: from a dataset's examples to a head with its report.
//!
//! # Layout
//! - [`snapshot`] is the dataset at one moment, planned; [`check`] says whether a head can be fitted on it.
//! - [`rows`] is what of it is fitted on, with the views of examples.
//! - [`options`] are the choices of the person who trains.
//! - [`effort`] says which evidence is gathered; [`evidence`] gathers it.
//! - [`report`](mod@report) is the evidence that the head is accepted on, and [`set_report`] that of one that gives sets of labels.
//!   [`warnings`](mod@warnings) and [`set_warnings`] are what speaks against it.
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
    fit::{self, FitOptions, FittedHead, Labels, TrainingData, head},
    names::{Name, Tenant},
    store::{Store, datasets::DatasetRow, now, timestamp},
};

pub mod check;
pub mod effort;
pub mod evidence;
pub mod options;
pub mod report;
pub mod rows;
pub mod set_report;
pub mod set_warnings;
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
    /// Why it is of that kind; empty where the kind was told.
    pub reason: String,
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
    let suited = options::suit(&mut options, run.options.as_ref(), &dataset).map_err(unusable)?;
    options::weigh(&mut options, run.options.as_ref(), &snapshot.labels).map_err(unusable)?;
    snapshot.check(&dataset, &options, most_bytes).map_err(RunError::Dataset)?;

    let plan = &snapshot.plan;
    let labels = |indices: &[usize]| snapshot.labelled(indices, dataset.multi_label);
    let fit_on = labels(&[&plan.train[..], &plan.validation].concat());
    let (classes, dimension) = (snapshot.labels.len(), dataset.dimension as usize);
    let rows = FitRows::new(plan, dataset.views());
    let mut embeddings = store.view_embeddings(tenant, &dataset, &snapshot.keys(&rows)).await?;
    let held_out = embeddings.split_off(rows.rows.len() * dimension);
    let test = Labelled { embeddings: held_out, labels: labels(&plan.test) };
    let effort = effort(run, fit_on.len(), classes, fit_on.len() * dimension * size_of::<f32>(), most_bytes);
    let mut told = Told::new(Box::new(watch), effort);

    let mut data = TrainingData::of(embeddings, dimension, labels(&rows.examples()), classes, rows.train)?;
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
    let validation = labels(&plan.validation);
    let tuned = Tuned::choose(fitted.selection_logits.as_deref(), validation.truth(), classes, link);
    let options = FitOptions { head: fitted.kind, ..options };
    let thresholds = fitted.head.thresholds().unwrap_or_default().to_vec();
    let how = Fitted { options, l2: fitted.l2, link, temperature: tuned.temperature, thresholds, classes, dimension };

    // The fit has used its embeddings up. Reading them again takes less than a copy would that is held all along.
    let again = read_again(store, tenant, &dataset, &snapshot, fit_on).await?;
    let (fitted, logits, test, evidence) = blocking(move || {
        let logits = logits(&fitted.head, &test.embeddings)?;
        let evidence = match again {
            Some(fit_on) => gather(&how, fit_on, &test, effort, &mut told)?,
            None => Evidence::default(),
        };
        Ok::<_, fit::FitError>((fitted, logits, test.labels, evidence))
    })
    .await??;

    let (mut fitted, report) = blocking({
        let snapshot = snapshot.clone();
        move || {
            let report = report(&snapshot, &fitted, tuned, &logits, test.truth(), &evidence);
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
        ..Default::default()
    };
    let reason = suited.or_else(|| best_of(&fitted)).unwrap_or_default();
    let comparison = fitted.comparison.iter().map(|trial| HeadKindTrial {
        kind: options::name(trial.kind) as i32,
        setting: trial.setting,
        log_loss: trial.log_loss,
        accuracy: trial.accuracy,
    });
    let comparison = comparison.collect();
    Ok(Trained { head, weights: fitted.head, kind: options::name(fitted.kind), comparison, reason })
}

/// Why the kind was taken that did best in the comparison, if there was one.
fn best_of(fitted: &FittedHead) -> Option<String> {
    let best = fitted.comparison.first()?;
    let loss = best.log_loss;
    Some(match fitted.comparison.get(1) {
        Some(next) => format!(
            "its log loss in cross-validation, {loss:.4}, was the least of {} kinds; the next was {} with {:.4}",
            fitted.comparison.len(),
            next.kind.name(),
            next.log_loss
        ),
        None => format!("no other kind suits these examples; its log loss in cross-validation is {loss:.4}"),
    })
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
    labels: Labels,
) -> Result<Option<Labelled>, RunError> {
    match store.embeddings(tenant, dataset, &snapshot.hashes()[..labels.len()]).await {
        Ok(embeddings) => Ok(Some(Labelled { embeddings, labels })),
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
