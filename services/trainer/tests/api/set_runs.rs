//! Training runs on examples with sets of labels: the head, its report and its answers.

use futures::TryStreamExt;
use graft_proto::v1::{Head, HeadKind, Report, Split, TrainingOptions, TrainingRun, TrainingState, WarningKind};
use graft_trainer::{
    classify::{HeadCache, Wanted, traffic::Traffic},
    content::ContentHash,
    names::{HeadRef, Name, Tenant},
    runs::Runs,
    store::{Store, examples::ExampleRow, segments::NewExample},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const DIMENSION: u32 = 8;
const ROWS: u32 = 600;
/// Common ones, one that hardly any example has, and one that nearly all have.
const LABELS: [&str; 5] = ["car", "dog", "person", "rare", "sky"];
/// Rows whose `dog` was left out by whoever labelled them.
const FORGOTTEN: [u32; 4] = [40, 41, 42, 43];

/// The labels that are seen in an example.
fn seen(index: u32) -> Vec<&'static str> {
    let bits = blake3::hash(&index.to_le_bytes()).as_bytes()[31];
    let common = (0..3).filter(|label| bits >> label & 1 == 1);
    let mut labels: Vec<&str> = common.map(|label| LABELS[label as usize]).collect();
    if FORGOTTEN.contains(&index) && !labels.contains(&"dog") {
        labels.push("dog");
    }
    if index % 120 == 7 {
        labels.push("rare");
    }
    if index % 100 != 3 {
        labels.push("sky");
    }
    labels.sort_unstable();
    labels
}

/// An embedding in which each label is seen, in some noise.
fn embedding(index: u32) -> Vec<f32> {
    let noise = blake3::hash(&(index ^ 0x5a5a_0000).to_le_bytes());
    let mut numbers: Vec<f32> = noise.as_bytes()[..8].iter().map(|byte| f32::from(*byte) / 255.0 - 0.5).collect();
    for label in seen(index) {
        numbers[LABELS.iter().position(|known| *known == label).unwrap()] += 1.2;
    }
    numbers
}

fn example(index: u32) -> NewExample {
    let hash = ContentHash::from_slice(blake3::hash(&index.to_le_bytes()).as_bytes()).unwrap();
    let split = if index < 420 {
        Split::Train
    } else if index < 500 {
        Split::Validation
    } else {
        Split::Test
    };
    let kept = |label: &&str| *label != "dog" || !FORGOTTEN.contains(&index);
    let labels = seen(index).into_iter().filter(kept).map(str::to_owned).collect();
    let row = ExampleRow { hash, id: index.to_string(), labels, split };
    NewExample { row, embedding: Some(embedding(index)), views: Vec::new() }
}

async fn trained(options: TrainingOptions) -> (TempDir, Store, TrainingRun) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let (tenant, name) = (Tenant::default(), Name::parse("name", "scenes").unwrap());
    store.create_dataset(&tenant, &name, "net", "net@0", DIMENSION, true).await.unwrap();
    let dataset = store.dataset(&tenant, &name).await.unwrap().unwrap();
    let examples: Vec<NewExample> = (0..ROWS).map(example).collect();
    store.add(&tenant, &dataset, &examples).await.unwrap().unwrap();
    let runs = Runs::start(store.clone(), 1 << 30, CancellationToken::new()).await.unwrap();
    let run = runs.create(&tenant, "scenes", "scenes", "", options).await.unwrap();
    let states: Vec<TrainingRun> = runs.follow(&tenant, &run.id).await.unwrap().try_collect().await.unwrap();
    (folder, store, states.into_iter().last().unwrap())
}

async fn head(store: &Store) -> Head {
    store.head(&Tenant::default(), &HeadRef::parse("head", "scenes").unwrap()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_of_labels_become_a_head_with_all_its_evidence() {
    let (_folder, store, run) = trained(TrainingOptions::default()).await;
    assert_eq!(run.state(), TrainingState::Succeeded, "{}", run.error);
    assert!(
        run.head_kind() == HeadKind::Sigmoid && run.head_kind_reason.contains("`scenes` is multi-label"),
        "{run:?}"
    );
    let head = head(&store).await;
    assert_eq!(head.labels, LABELS);
    let report = head.report.unwrap();
    check_figures(&report);
    check_labels(&report);
    check_evidence(&report);
}

fn check_figures(report: &Report) {
    let sets = report.multi_label.unwrap();
    assert!(report.accuracy > 0.85 && report.macro_f1 > 0.5 && sets.micro_f1 > 0.95, "{report:?}");
    assert!(report.accuracy > report.majority_accuracy && sets.hamming_loss < 0.05 && report.log_loss < 0.2);
    assert!(report.roc_auc.unwrap() > 0.9 && report.average_precision.unwrap() > 0.8);
    assert!(sets.labels_per_example > 2.0 && sets.labels_per_example < 3.0);
    let intervals = report.intervals.unwrap();
    let bounds =
        [intervals.accuracy, intervals.macro_f1, intervals.log_loss, intervals.roc_auc, sets.micro_f1_interval];
    let figures = [report.accuracy, report.macro_f1, report.log_loss, report.roc_auc.unwrap(), sets.micro_f1];
    for (bounds, figure) in bounds.into_iter().zip(figures) {
        let bounds = bounds.unwrap();
        assert!(bounds.low <= figure && figure <= bounds.high, "{bounds:?} {figure}");
    }
    assert!(sets.hamming_loss_interval.unwrap().high > sets.hamming_loss && intervals.balanced_accuracy.is_none());
    // What has no meaning for sets is not there.
    assert!(report.balanced_accuracy == 0.0 && report.top_k.is_empty() && report.confusion.is_empty());
    assert!(report.unknown.is_none());
    assert!(report.l2_trials.len() > 3 && report.l2_trials.iter().all(|trial| trial.log_loss < 1.0));
}

fn check_labels(report: &Report) {
    assert_eq!(report.classes.len(), 5);
    for class in &report.classes {
        let counts = class.counts.unwrap();
        assert_eq!(counts.true_positives + counts.false_negatives, class.support, "{class:?}");
        let all = counts.true_positives + counts.false_positives + counts.false_negatives + counts.true_negatives;
        assert_eq!(all, 100, "{class:?}");
        assert!((0.0..=1.0).contains(&class.threshold.unwrap()) && class.calibration_error.is_some());
    }
    assert!(
        report.classes[2].f1 > 0.9 && report.classes[2].average_precision.unwrap() > 0.9,
        "{:?}",
        report.classes[2]
    );
}

fn check_evidence(report: &Report) {
    let calibration = report.calibration.as_ref().unwrap();
    let binned: u64 = calibration.after.iter().map(|bin| bin.count).sum();
    assert!(binned == 500 && calibration.temperature != 1.0 && calibration.error_after < 0.05, "{calibration:?}");
    assert!(report.mistakes.iter().all(|mistake| mistake.label.is_empty() != mistake.predicted.is_empty()));
    let errors = report.label_errors.as_ref().unwrap();
    assert_eq!(errors.examined, 2500);
    let forgotten = |id: &str| id.parse().is_ok_and(|id| FORGOTTEN.contains(&id));
    let found = errors.errors.iter().filter(|error| forgotten(&error.id) && error.suggested == "dog").count();
    assert!(found >= 3, "{found} of the forgotten dogs: {errors:?}");
    let curve = report.learning_curve.as_ref().unwrap();
    assert!(curve.points.len() == 4 && curve.points[3].accuracy == report.accuracy, "{curve:?}");
    let warned = |kind: WarningKind, label: &str| report.warnings.iter().any(|w| w.kind() == kind && w.label == label);
    assert!(warned(WarningKind::FewExamples, "rare"), "{:?}", report.warnings);
    assert!(warned(WarningKind::FewExamples, "sky"), "hardly any is without it: {:?}", report.warnings);
    assert!(!report.warnings.iter().any(|w| w.kind() == WarningKind::NoBetterThanMajority), "{:?}", report.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn served_answers_are_those_that_were_measured() {
    let (_folder, store, _run) = trained(TrainingOptions::default()).await;
    let report = head(&store).await.report.unwrap();
    let heads = HeadCache::new(store, 1 << 20, Traffic::default());
    let served = heads.get(&Tenant::default(), &HeadRef::parse("head", "scenes").unwrap()).await.unwrap();
    let (mut exact, mut given) = (0, 0);
    for index in 500..ROWS {
        let wanted = Wanted { top_k: 1, detect_unknown: false };
        let found = served.classify(&embedding(index), 1, wanted).unwrap().remove(0).predictions;
        let mut labels: Vec<&str> = found.iter().filter(|p| p.applies).map(|p| p.label.as_str()).collect();
        labels.sort_unstable();
        given += labels.len() as u64;
        exact += u32::from(labels == seen(index));
        assert!(found.iter().all(|p| p.applies == (p.probability >= p.threshold.unwrap())), "{found:?}");
    }
    assert_eq!(f64::from(exact) / 100.0, report.accuracy);
    let counts = report.classes.iter().map(|class| class.counts.unwrap());
    assert_eq!(given, counts.map(|counts| counts.true_positives + counts.false_positives).sum::<u64>());
    assert!(
        served.check_unknown(Wanted { top_k: 1, detect_unknown: true }).is_err(),
        "a set can be empty: there is no `unknown`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_gives_one_label_ends_the_run_with_its_field() {
    let options = TrainingOptions { head_kind: HeadKind::Lda as i32, ..Default::default() };
    let (_folder, _store, run) = trained(options).await;
    assert_eq!(run.state(), TrainingState::Failed);
    for word in ["options.head_kind", "HEAD_KIND_LDA", "HEAD_KIND_SIGMOID", "`scenes`"] {
        assert!(run.error.contains(word), "{word}: {}", run.error);
    }
}
