//! The evidence that a head is accepted on.

use graft_proto::v1::{
    Calibration, ClassReport, Interval, Intervals, L2Trial, LabelError, LabelErrors, LearningCurve, LearningPoint,
    Mistake, ReliabilityBin, Report, TopKAccuracy, UnknownThreshold,
};

use super::{
    evidence::{Evidence, Suspects, probabilities},
    set_report,
    snapshot::Snapshot,
    warnings::warnings,
};
use crate::{
    evaluate::{
        bootstrap::{self, RESAMPLES},
        calibration,
        counts::{Counts, confusion},
        forecast::{Point, accuracy_at},
        label_errors,
        loss::{log_loss, log_losses, top_k},
        mistakes::most_confident,
        predictions,
        ranking::{macro_average, one_vs_rest},
        sets, unknown,
    },
    fit::{FittedHead, Truth, head::Link},
};

/// Mistakes that are kept.
pub(super) const MOST_MISTAKES: usize = 50;
/// Likely label errors that are kept.
pub(super) const MOST_LABEL_ERRORS: usize = 100;
/// How many classes may be named, where the right one among them counts.
const TOP: [usize; 4] = [2, 3, 5, 10];
/// Where chance begins for the resamples: the same for every report, so that the same head has the same intervals.
pub(super) const SEED: u64 = 1;

/// What was chosen on the validation split after the fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// What the logits are divided by.
    pub temperature: f64,
    /// The confidence of an answer.
    pub answer_from: Option<f32>,
    /// What makes logits probabilities.
    pub link: Link,
}

impl Tuned {
    /// Chosen on the validation rows, by the logits of a head that never saw them; without any, nothing is. The temperature
    /// is for classes that exclude each other, or for sets of labels, not for labels that each have a probability of their own
    /// where an example has one class all the same.
    pub fn choose(logits: Option<&[f32]>, truth: Truth<'_>, classes: usize, link: Link) -> Tuned {
        let Some(logits) = logits else { return Tuned { temperature: 1.0, answer_from: None, link } };
        let truth = match truth {
            Truth::One(truth) => truth,
            Truth::Sets(_) => {
                let temperature = sets::calibration::temperature(logits, &truth.dense(classes), classes);
                return Tuned { temperature: temperature.unwrap_or(1.0), answer_from: None, link };
            }
        };
        let temperature = match link {
            Link::Softmax => calibration::temperature(logits, truth, classes).unwrap_or(1.0),
            Link::Sigmoid => 1.0,
        };
        let calibrated = probabilities(logits, classes, temperature, link);
        Tuned { temperature, answer_from: unknown::threshold(&calibrated, truth, classes), link }
    }
}

/// How a head did: `logits`, `[rows, classes]`, before the temperature, against `truth`.
pub fn report(
    snapshot: &Snapshot,
    fitted: &FittedHead,
    tuned: Tuned,
    logits: &[f32],
    truth: Truth<'_>,
    evidence: &Evidence,
) -> Report {
    let mut report = match truth {
        Truth::One(truth) => of_classes(snapshot, fitted, tuned, logits, truth, evidence),
        Truth::Sets(_) => set_report::report(snapshot, fitted, tuned, logits, truth, evidence),
    };
    report.warnings = warnings(&report, evidence);
    report
}

/// The report of a head that gives each example one class.
fn of_classes(
    snapshot: &Snapshot,
    fitted: &FittedHead,
    tuned: Tuned,
    logits: &[f32],
    truth: &[u32],
    evidence: &Evidence,
) -> Report {
    let classes = snapshot.labels.len();
    let served = probabilities(logits, classes, tuned.temperature, tuned.link);
    let predicted = predictions(&served, classes);
    let counts = Counts::new(&predicted, truth, classes);
    let rankings = one_vs_rest(&served, truth, classes);
    let ranking = macro_average(&rankings);
    let plan = &snapshot.plan;
    let fit_on = snapshot.classes(&[&plan.train[..], &plan.validation].concat());
    Report {
        accuracy: counts.accuracy(),
        balanced_accuracy: counts.balanced_accuracy(),
        macro_precision: counts.macro_precision(),
        macro_recall: counts.macro_recall(),
        macro_f1: counts.macro_f1(),
        majority_accuracy: counts.majority_share(),
        log_loss: log_loss(&served, truth, classes),
        top_k: TOP
            .into_iter()
            .filter(|k| *k < classes && !truth.is_empty())
            .map(|k| TopKAccuracy { k: k as u32, accuracy: top_k(&served, truth, classes, k) })
            .collect(),
        roc_auc: ranking.map(|figures| figures.roc_auc),
        average_precision: ranking.map(|figures| figures.average_precision),
        classes: class_reports(snapshot, &counts, &rankings, &fit_on),
        confusion: confusion(&predicted, truth, classes),
        intervals: intervals(&served, &predicted, truth, classes),
        calibration: (!truth.is_empty()).then(|| calibration(logits, &served, truth, classes, tuned)),
        unknown: tuned.answer_from.map(|threshold| unknown_threshold(&served, truth, classes, threshold)),
        mistakes: mistakes(snapshot, &served, truth),
        label_errors: match &evidence.label_errors {
            Some(Suspects::Classes(errors)) => Some(label_errors(snapshot, errors)),
            Some(Suspects::Sets(_)) | None => None,
        },
        learning_curve: learning_curve(evidence, fit_on.len(), truth.len(), counts.accuracy()),
        l2: fitted.l2,
        l2_trials: l2_trials(fitted, classes),
        train_count: fit_on.len() as u64,
        validation_count: plan.validation.len() as u64,
        test_count: truth.len() as u64,
        iterations: fitted.iterations,
        converged: fitted.converged,
        snapshot: snapshot.id.clone(),
        warnings: Vec::new(),
        multi_label: None,
    }
}

/// How each L2 did. The log loss of a sigmoid head is the sum over its labels; told is their mean.
pub(super) fn l2_trials(fitted: &FittedHead, classes: usize) -> Vec<L2Trial> {
    let labels = if fitted.head.link() == Link::Sigmoid { classes as f64 } else { 1.0 };
    let trials = fitted.trials.iter();
    trials.map(|t| L2Trial { l2: t.l2, log_loss: t.log_loss / labels, accuracy: t.accuracy }).collect()
}

fn class_reports(
    snapshot: &Snapshot,
    counts: &Counts,
    rankings: &[Option<crate::evaluate::ranking::RankingFigures>],
    fit_on: &[u32],
) -> Vec<ClassReport> {
    let mut train = vec![0; snapshot.labels.len()];
    fit_on.iter().for_each(|class| train[*class as usize] += 1);
    let columns = snapshot.labels.iter().zip(counts.classes()).zip(rankings).zip(train);
    columns
        .map(|(((label, class), ranking), train_count)| ClassReport {
            label: label.clone(),
            precision: class.precision,
            recall: class.recall,
            f1: class.f1,
            support: class.support,
            roc_auc: ranking.map(|figures| figures.roc_auc),
            average_precision: ranking.map(|figures| figures.average_precision),
            train_count,
            counts: None,
            threshold: None,
            calibration_error: None,
        })
        .collect()
}

fn intervals(probabilities: &[f32], predicted: &[u32], truth: &[u32], classes: usize) -> Option<Intervals> {
    let log_losses = log_losses(probabilities, truth, classes);
    let rows = bootstrap::Rows { probabilities, predicted, log_losses: &log_losses, truth, classes };
    let found = bootstrap::intervals(&rows, RESAMPLES, SEED)?;
    Some(Intervals {
        resamples: RESAMPLES as u32,
        accuracy: Some(interval(found.accuracy)),
        balanced_accuracy: Some(interval(found.balanced_accuracy)),
        macro_f1: Some(interval(found.macro_f1)),
        log_loss: Some(interval(found.log_loss)),
        roc_auc: found.roc_auc.map(interval),
        average_precision: found.average_precision.map(interval),
    })
}

/// As the API tells it.
pub(super) fn interval(found: bootstrap::Interval) -> Interval {
    Interval { low: found.low, high: found.high }
}

fn calibration(logits: &[f32], served: &[f32], truth: &[u32], classes: usize, tuned: Tuned) -> Calibration {
    let before = calibration::reliability(&probabilities(logits, classes, 1.0, tuned.link), truth, classes);
    let after = calibration::reliability(served, truth, classes);
    told(tuned.temperature, &before, &after)
}

/// Both sets of bins as the API tells them.
pub(super) fn told(temperature: f64, before: &[calibration::Bin], after: &[calibration::Bin]) -> Calibration {
    let bin = |bin: &calibration::Bin| ReliabilityBin {
        count: bin.count,
        confidence: bin.confidence,
        accuracy: bin.accuracy,
    };
    Calibration {
        temperature,
        error_before: calibration::expected_error(before),
        error_after: calibration::expected_error(after),
        before: before.iter().map(bin).collect(),
        after: after.iter().map(bin).collect(),
    }
}

fn unknown_threshold(served: &[f32], truth: &[u32], classes: usize, threshold: f32) -> UnknownThreshold {
    let found = unknown::measure(served, truth, classes, threshold);
    UnknownThreshold {
        threshold: f64::from(threshold),
        coverage: found.coverage,
        accuracy: found.accuracy,
        wrong_rejected: found.wrong_rejected,
        right_rejected: found.right_rejected,
    }
}

fn mistakes(snapshot: &Snapshot, served: &[f32], truth: &[u32]) -> Vec<Mistake> {
    let labels = &snapshot.labels;
    let mistake = |found: crate::evaluate::mistakes::Mistake| {
        let name = snapshot.name(snapshot.plan.test[found.row]);
        Mistake {
            id: name.id,
            hash: name.hash,
            label: labels[truth[found.row] as usize].clone(),
            predicted: labels[found.predicted as usize].clone(),
            confidence: f64::from(found.confidence),
            label_probability: f64::from(found.right),
        }
    };
    most_confident(served, truth, labels.len(), MOST_MISTAKES).into_iter().map(mistake).collect()
}

fn label_errors(snapshot: &Snapshot, errors: &[label_errors::LabelError]) -> LabelErrors {
    let rows = [&snapshot.plan.train[..], &snapshot.plan.validation].concat();
    let given = snapshot.classes(&rows);
    let error = |found: &label_errors::LabelError| {
        let name = snapshot.name(rows[found.row]);
        LabelError {
            id: name.id,
            hash: name.hash,
            label: snapshot.labels[given[found.row] as usize].clone(),
            suggested: snapshot.labels[found.suggested as usize].clone(),
            label_probability: f64::from(found.given),
            suggested_probability: f64::from(found.probability),
        }
    };
    LabelErrors {
        examined: rows.len() as u64,
        found: errors.len() as u64,
        errors: errors.iter().take(MOST_LABEL_ERRORS).map(error).collect(),
    }
}

/// The points of the curve with the head itself at its end, and what twice its examples would give.
pub(super) fn learning_curve(
    evidence: &Evidence,
    fit_on: usize,
    tested: usize,
    accuracy: f64,
) -> Option<LearningCurve> {
    if evidence.curve.is_empty() {
        return None;
    }
    let points = [&evidence.curve[..], &[Point { rows: fit_on as u64, accuracy }]].concat();
    let twice = 2 * fit_on as u64;
    let forecast = accuracy_at(&points, tested as u64, twice);
    let point = |point: &Point| LearningPoint { examples: point.rows, accuracy: point.accuracy };
    Some(LearningCurve {
        points: points.iter().map(point).collect(),
        forecast: forecast.map(|accuracy| LearningPoint { examples: twice, accuracy }),
    })
}
