//! What is said first: the verdict, the warnings, the figures; and last, how the head came to be.

use graft_client::proto::{Head, Interval, MultiLabelReport, Report, Warning};
use maud::{Markup, html};

use super::{count, percent, section};
use crate::report::verdict::{Verdict, grave, sentences, title};

/// The head's name and what the evidence comes to.
pub fn header(head: &Head, report: &Report) -> Markup {
    let verdict = Verdict::of(report);
    let (class, sign) = match verdict {
        Verdict::Ready => ("good", "✓"),
        Verdict::Look => ("look", "!"),
        Verdict::NotReady => ("bad", "✕"),
    };
    html! {
        header {
            p.kind {
                "Classifier head · " (head.labels.len())
                @if report.multi_label.is_some() { " labels, any number an image" } @else { " classes" }
            }
            h1 { (head.name) span.version { "@" (head.version) } }
            p.sub {
                "Fitted on " (count(report.train_count)) " examples of " b { (head.dataset) }
                @if !head.backbone.is_empty() { ", on the backbone " b { (head.backbone) } } "."
            }
        }
        div class={ "verdict " (class) } id="verdict" {
            span.sign aria-hidden="true" { (sign) }
            div {
                strong { (verdict.title()) }
                p { @for sentence in sentences(report) { (sentence) " " } }
            }
        }
    }
}

/// Every warning, the gravest first.
pub fn warnings(report: &Report) -> Markup {
    if report.warnings.is_empty() {
        return html! {};
    }
    let warning = |warning: &Warning| {
        let (class, sign) = if grave(warning.kind()) { ("bad", "✕") } else { ("look", "!") };
        html! {
            li class=(class) {
                span.sign aria-hidden="true" { (sign) }
                div { strong { (title(warning.kind())) } " " span { (warning.message) } }
            }
        }
    };
    section(
        "warnings",
        "What speaks against it",
        "",
        html! { ul.warnings { @for w in &report.warnings { (warning(w)) } } },
    )
}

/// The headline figures with their intervals.
pub fn figures(report: &Report) -> Markup {
    let intervals = report.intervals.unwrap_or_default();
    let lead = format!(
        "Measured on {} examples of the test split, none of which it was fitted on. An interval says how far chance in those \
         examples may have moved the figure: 95% of {} resamples lie in it.",
        count(report.test_count),
        count(u64::from(intervals.resamples))
    );
    let calibration = report.calibration.as_ref();
    if let Some(sets) = &report.multi_label {
        return section("figures", "How good it is", &lead, set_tiles(report, sets));
    }
    let body = html! {
        div.tiles {
            (tile("Accuracy", percent(report.accuracy), intervals.accuracy.as_ref(), "named rightly", true))
            (tile("Balanced accuracy", percent(report.balanced_accuracy), intervals.balanced_accuracy.as_ref(),
                "the mean over classes", true))
            (tile("Macro F1", format!("{:.3}", report.macro_f1), intervals.macro_f1.as_ref(), "the mean over classes", false))
            @if let Some(auc) = report.roc_auc {
                (tile("ROC AUC", format!("{auc:.3}"), intervals.roc_auc.as_ref(), "0.5 is chance, 1 is perfect", false))
            }
            @if let Some(precision) = report.average_precision {
                (tile("Average precision", format!("{precision:.3}"), intervals.average_precision.as_ref(),
                    "the mean over classes", false))
            }
            (tile("Log loss", format!("{:.3}", report.log_loss), intervals.log_loss.as_ref(), "in nats; less is better", false))
            @for top in &report.top_k {
                (tile(&format!("Top-{} accuracy", top.k), percent(top.accuracy), None,
                    &format!("right among the {} likeliest", top.k), true))
            }
            @if let Some(calibration) = calibration {
                (tile("Calibration error", format!("{:.1}", 100.0 * calibration.error_after), None,
                    "points between confidence and accuracy", true))
            }
        }
    };
    section("figures", "How good it is", &lead, body)
}

/// The figures of a head that gives several labels.
fn set_tiles(report: &Report, sets: &MultiLabelReport) -> Markup {
    let intervals = report.intervals.unwrap_or_default();
    html! {
        div.tiles {
            (tile("Exactly right", percent(report.accuracy), intervals.accuracy.as_ref(), "all labels, and no other", true))
            (tile("Micro F1", format!("{:.3}", sets.micro_f1), sets.micro_f1_interval.as_ref(), "over all answers", false))
            (tile("Macro F1", format!("{:.3}", report.macro_f1), intervals.macro_f1.as_ref(), "the mean over labels", false))
            @if let Some(precision) = report.average_precision {
                (tile("Mean average precision", format!("{precision:.3}"), intervals.average_precision.as_ref(),
                    "the mean over labels", false))
            }
            @if let Some(auc) = report.roc_auc {
                (tile("ROC AUC", format!("{auc:.3}"), intervals.roc_auc.as_ref(), "0.5 is chance, 1 is perfect", false))
            }
            (tile("Hamming loss", format!("{:.3}", sets.hamming_loss), sets.hamming_loss_interval.as_ref(),
                "the part of answers that is wrong", false))
            (tile("Log loss", format!("{:.3}", report.log_loss), intervals.log_loss.as_ref(), "a label, in nats; less is better", false))
            @if let Some(calibration) = &report.calibration {
                (tile("Calibration error", format!("{:.1}", 100.0 * calibration.error_after), None,
                    "points between probability and truth", true))
            }
            (tile("Labels an image", format!("{:.2}", sets.labels_per_example), None,
                &format!("{} test images have none", count(sets.unlabelled_count)), false))
        }
    }
}

fn tile(name: &str, figure: String, interval: Option<&Interval>, about: &str, in_percent: bool) -> Markup {
    let show = |bound: f64| if in_percent { percent(bound) } else { format!("{bound:.3}") };
    html! {
        div.tile {
            span.name { (name) }
            span.figure { (figure) }
            @if let Some(interval) = interval {
                span.interval { (show(interval.low)) " to " (show(interval.high)) }
            }
            span.about { (about) }
        }
    }
}

/// How the head came to be, so that it can be made again.
pub fn provenance(head: &Head, report: &Report) -> Markup {
    let facts = [
        ("Dataset", head.dataset.clone()),
        ("Snapshot", report.snapshot.clone()),
        ("Embedding space", head.space.clone()),
        (
            "Fitted on",
            format!(
                "{} examples, {} of them for validation",
                count(report.train_count),
                count(report.validation_count)
            ),
        ),
        ("Measured on", format!("{} examples", count(report.test_count))),
        ("L2", format!("{:.3e}", report.l2)),
        (
            "Last fit",
            format!(
                "{} iterations, {}",
                report.iterations,
                if report.converged { "converged" } else { "not converged" }
            ),
        ),
        ("Training run", head.training_run.clone()),
        ("Graft", head.graft_version.clone()),
    ];
    let rows = html! {
        dl.provenance { @for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) { dt { (name) } dd { (fact) } } }
    };
    section("provenance", "How it came to be", "", rows)
}
