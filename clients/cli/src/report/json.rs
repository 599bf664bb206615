//! A report for programs: every field by its name in the API, in lower-case words.

use graft_client::proto::{Interval, LearningPoint, ReliabilityBin, Report};
use serde_json::{Value, json};

/// A report of a head with `classes` classes.
pub fn report(report: &Report, classes: usize) -> Value {
    let each = |list: Vec<Value>| Value::Array(list);
    json!({
        "accuracy": report.accuracy,
        "balanced_accuracy": report.multi_label.is_none().then_some(report.balanced_accuracy),
        "macro_precision": report.macro_precision,
        "macro_recall": report.macro_recall,
        "macro_f1": report.macro_f1,
        "log_loss": report.log_loss,
        "roc_auc": report.roc_auc,
        "average_precision": report.average_precision,
        "majority_accuracy": report.majority_accuracy,
        "top_k": each(report.top_k.iter().map(|top| json!({ "k": top.k, "accuracy": top.accuracy })).collect()),
        "intervals": intervals(report),
        "calibration": calibration(report),
        "unknown": unknown(report),
        "classes": class_reports(report),
        "confusion": report.confusion.chunks(classes.max(1)).collect::<Vec<_>>(),
        "multi_label": multi_label(report),
        "mistakes": mistakes(report),
        "label_errors": label_errors(report),
        "learning_curve": learning_curve(report),
        "warnings": warnings(report),
        "l2": report.l2,
        "l2_trials": each(report.l2_trials.iter().map(|t| json!({ "l2": t.l2, "log_loss": t.log_loss, "accuracy": t.accuracy })).collect()),
        "train_count": report.train_count,
        "validation_count": report.validation_count,
        "test_count": report.test_count,
        "iterations": report.iterations,
        "converged": report.converged,
        "snapshot": report.snapshot,
    })
}

fn intervals(report: &Report) -> Option<Value> {
    let found = report.intervals.as_ref()?;
    Some(json!({
        "resamples": found.resamples,
        "accuracy": interval(&found.accuracy),
        "balanced_accuracy": interval(&found.balanced_accuracy),
        "macro_f1": interval(&found.macro_f1),
        "log_loss": interval(&found.log_loss),
        "roc_auc": interval(&found.roc_auc),
        "average_precision": interval(&found.average_precision),
    }))
}

fn interval(interval: &Option<Interval>) -> Option<Value> {
    interval.as_ref().map(|i| json!([i.low, i.high]))
}

fn multi_label(report: &Report) -> Option<Value> {
    let found = report.multi_label.as_ref()?;
    Some(json!({
        "micro_precision": found.micro_precision,
        "micro_recall": found.micro_recall,
        "micro_f1": found.micro_f1,
        "hamming_loss": found.hamming_loss,
        "labels_per_example": found.labels_per_example,
        "unlabelled_count": found.unlabelled_count,
        "micro_f1_interval": interval(&found.micro_f1_interval),
        "hamming_loss_interval": interval(&found.hamming_loss_interval),
    }))
}

fn calibration(report: &Report) -> Option<Value> {
    let found = report.calibration.as_ref()?;
    let bins = |bins: &[ReliabilityBin]| -> Vec<Value> {
        bins.iter().map(|b| json!({ "count": b.count, "confidence": b.confidence, "accuracy": b.accuracy })).collect()
    };
    Some(json!({
        "temperature": found.temperature,
        "error_before": found.error_before,
        "error_after": found.error_after,
        "before": bins(&found.before),
        "after": bins(&found.after),
    }))
}

fn unknown(report: &Report) -> Option<Value> {
    let found = report.unknown.as_ref()?;
    Some(json!({
        "threshold": found.threshold,
        "coverage": found.coverage,
        "accuracy": found.accuracy,
        "wrong_rejected": found.wrong_rejected,
        "right_rejected": found.right_rejected,
    }))
}

fn class_reports(report: &Report) -> Vec<Value> {
    let counts = |counts: &graft_client::proto::LabelCounts| {
        json!({
            "true_positives": counts.true_positives,
            "false_positives": counts.false_positives,
            "false_negatives": counts.false_negatives,
            "true_negatives": counts.true_negatives,
        })
    };
    let class = |class: &graft_client::proto::ClassReport| {
        json!({
            "label": class.label,
            "precision": class.precision,
            "recall": class.recall,
            "f1": class.f1,
            "support": class.support,
            "roc_auc": class.roc_auc,
            "average_precision": class.average_precision,
            "train_count": class.train_count,
            "counts": class.counts.as_ref().map(counts),
            "threshold": class.threshold,
            "calibration_error": class.calibration_error,
        })
    };
    report.classes.iter().map(class).collect()
}

fn mistakes(report: &Report) -> Vec<Value> {
    let mistake = |mistake: &graft_client::proto::Mistake| {
        json!({
            "id": mistake.id,
            "hash": mistake.hash,
            "label": mistake.label,
            "predicted": mistake.predicted,
            "confidence": mistake.confidence,
            "label_probability": mistake.label_probability,
        })
    };
    report.mistakes.iter().map(mistake).collect()
}

fn label_errors(report: &Report) -> Option<Value> {
    let found = report.label_errors.as_ref()?;
    let error = |error: &graft_client::proto::LabelError| {
        json!({
            "id": error.id,
            "hash": error.hash,
            "label": error.label,
            "suggested": error.suggested,
            "label_probability": error.label_probability,
            "suggested_probability": error.suggested_probability,
        })
    };
    let errors: Vec<Value> = found.errors.iter().map(error).collect();
    Some(json!({ "examined": found.examined, "found": found.found, "errors": errors }))
}

fn learning_curve(report: &Report) -> Option<Value> {
    let found = report.learning_curve.as_ref()?;
    let point = |point: &LearningPoint| json!({ "examples": point.examples, "accuracy": point.accuracy });
    Some(json!({
        "points": found.points.iter().map(point).collect::<Vec<_>>(),
        "forecast": found.forecast.as_ref().map(point),
    }))
}

fn warnings(report: &Report) -> Vec<Value> {
    let warning = |warning: &graft_client::proto::Warning| {
        let kind = warning.kind().as_str_name().trim_start_matches("WARNING_KIND_").to_lowercase();
        json!({ "kind": kind, "label": warning.label, "message": warning.message })
    };
    report.warnings.iter().map(warning).collect()
}
