//! One run: from a dataset's examples to a head with its report.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use graft_proto::v1::{
    ClassReport, Head, L2Trial, Report, Split, TrainingOptions, TrainingPhase, TrainingProgress, TrainingRun,
};
use tokio::task::spawn_blocking;

use crate::{
    content::ContentHash,
    error::RunError,
    evaluate::evaluate,
    fit::{
        self, FitOptions, FittedHead, Phase, Progress, TrainingData,
        head::{LinearHead, softmax},
        split::{self, Plan},
    },
    names::{Name, Tenant},
    store::{Store, datasets::ExampleRow, now, timestamp},
};

/// Examples that a class needs, the test split left out.
const LEAST_EXAMPLES: usize = 2;
/// Classes, at the most: what a confusion matrix of 8-byte counts fits a message with.
const MOST_CLASSES: usize = 1000;

/// Whether a head can be fitted on these examples; if not, why, and what to do.
pub fn check(dataset: &str, examples: &[ExampleRow]) -> Result<(), String> {
    if examples.is_empty() {
        return Err(format!("`{dataset}` holds no example; import some first"));
    }
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        *classes.entry(&example.label).or_default() += usize::from(example.split != Split::Test);
    }
    if classes.len() < 2 {
        let only = classes.keys().next().copied().unwrap_or_default();
        return Err(format!(
            "`{dataset}` has one class, `{only}`; a classifier needs two or more: import examples of another"
        ));
    }
    if classes.len() > MOST_CLASSES {
        return Err(format!("`{dataset}` has {} classes; at most {MOST_CLASSES} are accepted", classes.len()));
    }
    match classes.iter().find(|(_, count)| **count < LEAST_EXAMPLES) {
        None => Ok(()),
        Some((label, count)) => Err(format!(
            "class `{label}` of `{dataset}` has {count} examples to fit on; at least {LEAST_EXAMPLES} are needed beside the \
             test split: import more, or leave the class out"
        )),
    }
}

/// A dataset at one moment, ready to be fitted on.
struct Snapshot {
    labels: Vec<String>,
    classes: Vec<u32>,
    plan: Plan,
    hashes: Vec<ContentHash>,
    id: String,
}

impl Snapshot {
    fn new(examples: &[ExampleRow]) -> Snapshot {
        let mut labels: Vec<String> = examples.iter().map(|example| example.label.clone()).collect();
        labels.sort();
        labels.dedup();
        let index: HashMap<&str, u32> =
            labels.iter().enumerate().map(|(i, label)| (label.as_str(), i as u32)).collect();
        let classes: Vec<u32> = examples.iter().map(|e| index.get(e.label.as_str()).copied().unwrap_or(0)).collect();
        let splits: Vec<Split> = examples.iter().map(|example| example.split).collect();
        let mut hasher = blake3::Hasher::new();
        for example in examples {
            hasher.update(example.hash.as_bytes()).update(&[example.split as u8]);
            hasher.update(&(example.label.len() as u64).to_le_bytes()).update(example.label.as_bytes());
        }
        Snapshot {
            plan: split::plan(&classes, &splits),
            hashes: examples.iter().map(|example| example.hash).collect(),
            id: hasher.finalize().to_hex().to_string(),
            labels,
            classes,
        }
    }

    /// The hashes and classes of some examples.
    fn pick(&self, indices: &[usize]) -> (Vec<ContentHash>, Vec<u32>) {
        indices.iter().map(|index| (self.hashes[*index], self.classes[*index])).unzip()
    }
}

/// Fit a head for `run`, measure it and write it. Gives back its version. `watch` is told of the progress and answers
/// whether to go on.
pub async fn run(
    store: &Store,
    tenant: &Tenant,
    run: &TrainingRun,
    mut watch: impl FnMut(TrainingProgress) -> bool + Send + 'static,
) -> Result<u32, RunError> {
    watch(progress(TrainingPhase::Load, 0.0));
    let gone = || RunError::Dataset(format!("dataset `{}` was deleted before the run's turn came", run.dataset));
    let name = Name::parse("dataset", &run.dataset).map_err(|_| gone())?;
    let dataset = store.dataset(tenant, &name).await?.ok_or_else(gone)?;
    let examples = store.examples(dataset.id).await?;
    check(&run.dataset, &examples).map_err(RunError::Dataset)?;
    let snapshot = Snapshot::new(&examples);
    let dimension = dataset.dimension as usize;

    let (fit_on, labels) = snapshot.pick(&[&snapshot.plan.train[..], &snapshot.plan.validation].concat());
    let features = store.embeddings(tenant, &dataset, &fit_on).await?;
    let (classes, train) = (snapshot.labels.len(), snapshot.plan.train.len());
    let data = TrainingData::new(features, dimension, labels, classes, train)?;
    let options = options(run.options.as_ref());
    let (fitted, mut watch) = blocking(move || {
        let fitted = fit::fit_head(data, &options, &mut |now| match watch(describe(now)) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        fitted.map(|fitted| (fitted, watch))
    })
    .await??;

    watch(progress(TrainingPhase::Evaluate, 0.95));
    let (measure_on, truth) = snapshot.pick(&snapshot.plan.test);
    let features = store.embeddings(tenant, &dataset, &measure_on).await?;
    let head = fitted.head.clone();
    let probabilities = blocking(move || probabilities(&head, features)).await?.map_err(fit::FitError::Tensor)?;
    let report = report(&snapshot, &fitted, &probabilities, &truth);
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
    let head = store.add_head(tenant, head, &fitted.head).await?;
    watch(progress(TrainingPhase::Evaluate, 1.0));
    Ok(head.version)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    spawn_blocking(work).await.map_err(|error| RunError::Broken(error.to_string()))
}

fn options(wanted: Option<&TrainingOptions>) -> FitOptions {
    let mut options = FitOptions::default();
    if let Some(wanted) = wanted {
        options.l2.clone_from(&wanted.l2);
        if wanted.max_iterations > 0 {
            options.max_iterations = wanted.max_iterations;
        }
    }
    options
}

fn probabilities(head: &LinearHead, features: Vec<f32>) -> Result<Vec<f32>, candle_core::Error> {
    let rows = features.len() / head.dimension;
    if rows == 0 {
        return Ok(Vec::new());
    }
    let mut logits = head.logits(features, rows)?;
    logits.chunks_exact_mut(head.classes).for_each(softmax);
    Ok(logits)
}

fn report(snapshot: &Snapshot, fitted: &FittedHead, probabilities: &[f32], truth: &[u32]) -> Report {
    let found = evaluate(probabilities, truth, snapshot.labels.len());
    let class = |(label, class): (&String, &crate::evaluate::ClassEvaluation)| ClassReport {
        label: label.clone(),
        precision: class.precision,
        recall: class.recall,
        f1: class.f1,
        support: class.support,
    };
    let trial = |trial: &fit::L2Trial| L2Trial { l2: trial.l2, log_loss: trial.log_loss, accuracy: trial.accuracy };
    Report {
        accuracy: found.accuracy,
        macro_f1: found.macro_f1,
        log_loss: found.log_loss,
        classes: snapshot.labels.iter().zip(&found.classes).map(class).collect(),
        confusion: found.confusion,
        l2: fitted.l2,
        l2_trials: fitted.trials.iter().map(trial).collect(),
        train_count: (snapshot.plan.train.len() + snapshot.plan.validation.len()) as u64,
        validation_count: snapshot.plan.validation.len() as u64,
        test_count: truth.len() as u64,
        iterations: fitted.iterations,
        converged: fitted.converged,
        snapshot: snapshot.id.clone(),
    }
}

fn progress(phase: TrainingPhase, fraction: f64) -> TrainingProgress {
    TrainingProgress { phase: phase as i32, fraction, ..Default::default() }
}

fn describe(now: Progress) -> TrainingProgress {
    let phase = match now.phase {
        Phase::Select => TrainingPhase::Select,
        Phase::Refit => TrainingPhase::Refit,
    };
    TrainingProgress {
        phase: phase as i32,
        fraction: now.fraction * 0.95,
        iterations: now.iterations,
        loss: now.loss,
        validation_loss: now.validation_loss.unwrap_or_default(),
        validation_accuracy: now.validation_accuracy.unwrap_or_default(),
    }
}
