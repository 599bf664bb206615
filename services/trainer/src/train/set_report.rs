//! The evidence that a head is accepted on that gives each example a set of labels.

use graft_proto::v1::{
    ClassReport, Interval, Intervals, LabelCounts, LabelError, LabelErrors, Mistake, MultiLabelReport, Report,
};

use super::{
    evidence::{Evidence, Suspects, probabilities},
    report::{MOST_LABEL_ERRORS, MOST_MISTAKES, SEED, Tuned, interval, l2_trials, learning_curve, told},
    snapshot::Snapshot,
};
use crate::{
    evaluate::{
        bootstrap::RESAMPLES,
        calibration::expected_error,
        sets::{
            bootstrap::{self, Rows},
            calibration::reliability,
            counts::{Answers, LabelFigures, SetCounts},
            given, label_errors,
            loss::log_losses,
            macro_average,
            mistakes::most_confident,
            rankings,
        },
    },
    fit::{FittedHead, Truth, head::cooled},
};

/// What the test split got.
struct Measured<'a> {
    snapshot: &'a Snapshot,
    /// `[rows, classes]`, as they are served.
    served: Vec<f32>,
    /// From which served probability on each label is given.
    thresholds: Vec<f32>,
    /// `[rows, classes]`.
    given: Vec<bool>,
    /// `[rows, classes]`.
    truth: Vec<bool>,
    classes: usize,
}

/// How a head did: `logits`, `[rows, classes]`, before the temperature, against `truth`. Warnings are left out.
pub fn report(
    snapshot: &Snapshot,
    fitted: &FittedHead,
    tuned: Tuned,
    logits: &[f32],
    truth: Truth<'_>,
    evidence: &Evidence,
) -> Report {
    let classes = snapshot.labels.len();
    let served = probabilities(logits, classes, tuned.temperature, tuned.link);
    let thresholds = fitted.head.thresholds().unwrap_or_default();
    let thresholds: Vec<f32> = thresholds.iter().map(|threshold| cooled(*threshold, tuned.temperature)).collect();
    let (given, tested) = (given(&served, &thresholds), truth.len());
    let measured = Measured { snapshot, served, thresholds, given, truth: truth.dense(classes), classes };
    let answers = Answers::new(&measured.given, &measured.truth, classes);
    let counts = answers.count(|_| 1);
    let losses = log_losses(&measured.served, &measured.truth, classes);
    let labels = rankings(&measured.served, &measured.truth, classes);
    let ranking = macro_average(&labels);
    let plan = &snapshot.plan;
    let fit_on = [&plan.train[..], &plan.validation].concat();
    let (intervals, [micro_f1_interval, hamming_loss_interval]) = measured.intervals(&answers, &losses);
    let before = probabilities(logits, classes, 1.0, tuned.link);
    let after = reliability(measured.served.iter().zip(&measured.truth));
    Report {
        accuracy: counts.exact(),
        macro_precision: counts.macro_precision(),
        macro_recall: counts.macro_recall(),
        macro_f1: counts.macro_f1(),
        majority_accuracy: answers.majority_share(),
        log_loss: if losses.is_empty() { 0.0 } else { losses.iter().sum::<f64>() / losses.len() as f64 },
        roc_auc: ranking.map(|figures| figures.roc_auc),
        average_precision: ranking.map(|figures| figures.average_precision),
        classes: measured.class_reports(&counts, &labels, &fit_on),
        intervals,
        calibration: (tested > 0)
            .then(|| told(tuned.temperature, &reliability(before.iter().zip(&measured.truth)), &after)),
        mistakes: measured.mistakes(),
        label_errors: match &evidence.label_errors {
            Some(Suspects::Sets(errors)) => Some(suspects(snapshot, &fit_on, errors)),
            Some(Suspects::Classes(_)) | None => None,
        },
        learning_curve: learning_curve(evidence, fit_on.len(), tested, counts.exact()),
        l2: fitted.l2,
        l2_trials: l2_trials(fitted, classes),
        train_count: fit_on.len() as u64,
        validation_count: plan.validation.len() as u64,
        test_count: tested as u64,
        iterations: fitted.iterations,
        converged: fitted.converged,
        snapshot: snapshot.id.clone(),
        multi_label: Some(MultiLabelReport {
            micro_precision: counts.micro_precision(),
            micro_recall: counts.micro_recall(),
            micro_f1: counts.micro_f1(),
            hamming_loss: counts.hamming_loss(),
            labels_per_example: counts.cardinality(),
            unlabelled_count: (0..tested).filter(|row| truth.of(*row).is_empty()).count() as u64,
            micro_f1_interval,
            hamming_loss_interval,
        }),
        // What is left has no meaning for sets of labels.
        ..Default::default()
    }
}

impl Measured<'_> {
    fn class_reports(
        &self,
        counts: &SetCounts,
        rankings: &[Option<crate::evaluate::ranking::RankingFigures>],
        fit_on: &[usize],
    ) -> Vec<ClassReport> {
        let train = self.snapshot.labelled(fit_on, true).truth().counts(self.classes);
        let columns = counts.labels().zip(rankings).zip(train).enumerate();
        let report = |(at, ((label, ranking), train_count)): (usize, ((LabelFigures, &Option<_>), usize))| {
            let answers = self.served.iter().zip(&self.truth).skip(at).step_by(self.classes);
            let ranking: &Option<crate::evaluate::ranking::RankingFigures> = ranking;
            ClassReport {
                label: self.snapshot.labels[at].clone(),
                precision: label.precision,
                recall: label.recall,
                f1: label.f1,
                support: label.true_positives + label.false_negatives,
                roc_auc: ranking.map(|figures| figures.roc_auc),
                average_precision: ranking.map(|figures| figures.average_precision),
                train_count: train_count as u64,
                counts: Some(LabelCounts {
                    true_positives: label.true_positives,
                    false_positives: label.false_positives,
                    false_negatives: label.false_negatives,
                    true_negatives: label.true_negatives,
                }),
                threshold: self.thresholds.get(at).map(|threshold| f64::from(*threshold)),
                calibration_error: Some(expected_error(&reliability(answers))),
            }
        };
        columns.map(report).collect()
    }

    /// Those of the figures that every report has, and those of the micro F1 and the Hamming loss.
    fn intervals(&self, answers: &Answers, log_losses: &[f64]) -> (Option<Intervals>, [Option<Interval>; 2]) {
        let Measured { served, truth, classes, .. } = self;
        let rows = Rows { probabilities: served, truth, answers, log_losses, classes: *classes };
        let Some(found) = bootstrap::intervals(&rows, RESAMPLES, SEED) else { return (None, [None, None]) };
        let intervals = Intervals {
            resamples: RESAMPLES as u32,
            accuracy: Some(interval(found.exact)),
            balanced_accuracy: None,
            macro_f1: Some(interval(found.macro_f1)),
            log_loss: Some(interval(found.log_loss)),
            roc_auc: found.roc_auc.map(interval),
            average_precision: found.average_precision.map(interval),
        };
        (Some(intervals), [Some(interval(found.micro_f1)), Some(interval(found.hamming_loss))])
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let found = most_confident(&self.served, &self.given, &self.truth, self.classes, MOST_MISTAKES);
        let mistake = |found: crate::evaluate::sets::mistakes::Mistake| {
            let name = self.snapshot.name(self.snapshot.plan.test[found.row]);
            let (label, predicted) = either(self.snapshot, found.label, !found.given);
            let confidence = f64::from(found.confidence);
            Mistake { id: name.id, hash: name.hash, label, predicted, confidence, label_probability: 1.0 - confidence }
        };
        found.into_iter().map(mistake).collect()
    }
}

/// The name of a label in the first place or the second, the other being empty.
fn either(snapshot: &Snapshot, label: u32, first: bool) -> (String, String) {
    let name = snapshot.labels[label as usize].clone();
    if first { (name, String::new()) } else { (String::new(), name) }
}

fn suspects(snapshot: &Snapshot, rows: &[usize], errors: &[label_errors::LabelError]) -> LabelErrors {
    let error = |found: &label_errors::LabelError| {
        let name = snapshot.name(rows[found.row]);
        let (label, suggested) = either(snapshot, found.label, found.has);
        LabelError {
            id: name.id,
            hash: name.hash,
            label,
            suggested,
            label_probability: f64::from(found.given),
            suggested_probability: f64::from(found.probability),
        }
    };
    LabelErrors {
        examined: (rows.len() * snapshot.labels.len()) as u64,
        found: errors.len() as u64,
        errors: errors.iter().take(MOST_LABEL_ERRORS).map(error).collect(),
    }
}
