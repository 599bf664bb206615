//! `graft train`: fit a classifier, follow the run, show how good it is.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use graft_client::{
    Graft,
    proto::{
        CancelTrainingRunRequest, CreateTrainingRunRequest, EvidenceOptions, Gather, GetHeadRequest, Head, HeadKind,
        TrainingOptions, TrainingPhase, TrainingProgress, TrainingRun, TrainingState,
    },
    wait_for, watch,
};
use tokio::time::timeout;

use crate::{Done, heads, import::views, interrupt::interrupted, output::Output, progress::Progress, say};

/// How long a run that is cancelled may take to end.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);

/// Fit a classifier on a dataset.
#[derive(Args)]
pub struct Train {
    /// The dataset.
    dataset: String,
    /// The head to write a new version of; the dataset's name unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    head: String,
    /// The id of an earlier snapshot to fit on; the dataset as it is now unless told.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    snapshot: String,
    /// L2 penalties to choose among on the validation split; nine from 1 to 0.0001 unless told.
    #[arg(long, value_name = "L2", num_args = 1..)]
    l2: Vec<f64>,
    /// The most iterations for each L2; 200 unless told.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    max_iterations: u32,
    /// The kind of head; `auto` takes the best by cross-validation. Unless told softmax, and sigmoid for a multi-label dataset.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Let every class count the same, however many examples it has.
    #[arg(long)]
    balance_classes: bool,
    /// How much the examples of a class count; 1 for classes that are not named. Once for each class.
    #[arg(long, value_name = "LABEL=WEIGHT", value_parser = class_weight, conflicts_with = "balance_classes")]
    class_weight: Vec<(String, f64)>,
    /// The part of each example's truth that is spread evenly over all classes, 0 to 0.5.
    #[arg(long, default_value_t = 0.0, hide_default_value = true, value_name = "PART")]
    label_smoothing: f64,
    /// What chance is drawn from: the same dataset, options and seed give the same head.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Whether to look for labels that are likely wrong (five fits): where it takes seconds, always, or never.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    label_errors: When,
    /// Whether to measure what more examples would give (about one fit).
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    learning_curve: When,
}

/// A kind of head.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// The best by cross-validation of the kinds that suit the number of examples.
    Auto,
    /// Linear, by log loss over classes that exclude each other.
    Softmax,
    /// Linear, each label on its own: the one for images with several labels.
    Sigmoid,
    /// Linear, by least squares.
    Ridge,
    /// Linear discriminant analysis; often the best with few examples.
    Lda,
    /// The nearest class mean.
    Prototype,
    /// The nearest examples.
    Knn,
    /// One hidden layer.
    Mlp,
}

impl From<Kind> for HeadKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Auto => HeadKind::Auto,
            Kind::Softmax => HeadKind::Softmax,
            Kind::Sigmoid => HeadKind::Sigmoid,
            Kind::Ridge => HeadKind::Ridge,
            Kind::Lda => HeadKind::Lda,
            Kind::Prototype => HeadKind::Prototype,
            Kind::Knn => HeadKind::Knn,
            Kind::Mlp => HeadKind::Mlp,
        }
    }
}

/// `LABEL=WEIGHT`; a label may hold `=` itself.
fn class_weight(text: &str) -> Result<(String, f64), String> {
    let (label, weight) = text.rsplit_once('=').ok_or("LABEL=WEIGHT is expected")?;
    let weight = weight.parse().map_err(|_| format!("`{weight}` is no number"))?;
    Ok((label.to_owned(), weight))
}

/// When evidence is gathered that takes time.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Where it takes seconds.
    Auto,
    /// However long it takes.
    Always,
    /// Not at all.
    Never,
}

impl From<When> for i32 {
    fn from(when: When) -> i32 {
        let gather = match when {
            When::Auto => Gather::Unspecified,
            When::Always => Gather::Always,
            When::Never => Gather::Never,
        };
        gather as i32
    }
}

impl Train {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let evidence =
            EvidenceOptions { label_errors: self.label_errors.into(), learning_curve: self.learning_curve.into() };
        let options = TrainingOptions {
            l2: self.l2,
            max_iterations: self.max_iterations,
            head_kind: self.kind.map_or(HeadKind::Unspecified, HeadKind::from) as i32,
            balance_classes: self.balance_classes,
            class_weights: self.class_weight.into_iter().collect(),
            label_smoothing: self.label_smoothing,
            seed: self.seed,
            evidence: Some(evidence),
        };
        let request = CreateTrainingRunRequest {
            dataset: self.dataset,
            head: self.head,
            options: Some(options),
            snapshot: self.snapshot,
        };
        let created = graft.trainer.training().create_training_run(request).await;
        let run = created.map_err(|status| graft.trainer.error(status))?.into_inner().training_run.context("no run")?;
        let id = run.id.clone();
        let run = tokio::select! {
            run = follow(graft, run) => run?,
            signal = interrupted() => {
                let cancelled = graft.trainer.training().cancel_training_run(CancelTrainingRunRequest { id: id.clone() }).await;
                cancelled.map_err(|status| graft.trainer.error(status))?;
                return Err(signal.and(became(graft, &id).await).into());
            }
        };
        match run.state() {
            TrainingState::Succeeded => {}
            TrainingState::Cancelled => bail!("the run was cancelled"),
            _ => bail!("the run failed: {}", run.error),
        }
        let name = format!("{}@{}", run.head, run.head_version);
        let head = graft.trainer.heads().get_head(GetHeadRequest { name }).await;
        let head: Head = head.map_err(|status| graft.trainer.error(status))?.into_inner().head.context("no head")?;
        if let Some(augmentation) = &run.augmentation {
            say::note(format_args!("fitted on {}", views::text(augmentation)));
        }
        for trial in &run.head_kind_trials {
            let kind = kind_name(trial.kind());
            say::note(format_args!("compared: {kind}: log loss {:.4}, accuracy {:.4}", trial.log_loss, trial.accuracy));
        }
        output.show(|| why(&run) + &heads::text(&head), || json(&run, &head))?;
        Ok(Done::All)
    }
}

/// What became of a run that was to be cancelled: it may have been about to end by itself.
async fn became(graft: &Graft, id: &str) -> String {
    match timeout(CANCELLED_WITHIN, wait_for(&graft.trainer, id)).await {
        Ok(Ok(run)) if run.state() == TrainingState::Succeeded => {
            format!("the run had ended: {}@{} is there", run.head, run.head_version)
        }
        Ok(Ok(run)) if run.state() == TrainingState::Cancelled => {
            "the run was cancelled; no version was written".into()
        }
        Ok(Ok(run)) => format!("the run failed: {}", run.error),
        _ => format!("run {id} was told to end"),
    }
}

/// A kind for a person.
fn kind_name(kind: HeadKind) -> String {
    kind.as_str_name().trim_start_matches("HEAD_KIND_").to_lowercase()
}

/// Why the head is of its kind, where the person left that open.
fn why(run: &TrainingRun) -> String {
    if run.head_kind_reason.is_empty() {
        return String::new();
    }
    format!("a {} head: {}\n", kind_name(run.head_kind()), run.head_kind_reason)
}

fn json(run: &TrainingRun, head: &Head) -> serde_json::Value {
    let mut value = heads::json(head);
    value["head_kind"] = kind_name(run.head_kind()).into();
    value["head_kind_reason"] = run.head_kind_reason.clone().into();
    value
}

async fn follow(graft: &Graft, run: TrainingRun) -> Result<TrainingRun> {
    let mut progress = Progress::of_whole("waiting");
    let mut states = watch(&graft.trainer, &run.id).await?;
    let mut last = run;
    while let Some(state) = states.try_next().await? {
        last = state;
        let now = last.progress.unwrap_or_default();
        progress.at(now.fraction, &describe(&now));
    }
    progress.clear();
    Ok(last)
}

fn describe(now: &TrainingProgress) -> String {
    let phase = match now.phase() {
        TrainingPhase::Unspecified => return "waiting".into(),
        TrainingPhase::Load => return "reading embeddings".into(),
        TrainingPhase::Select => "choosing L2",
        TrainingPhase::CrossValidate => "cross-validating",
        TrainingPhase::Refit => "fitting",
        TrainingPhase::Evaluate => return "measuring".into(),
        TrainingPhase::LabelErrors => "looking for label errors",
        TrainingPhase::LearningCurve => "learning curve",
    };
    format!("{phase}: loss {:.4}, validation accuracy {:.4}", now.loss, now.validation_accuracy)
}
