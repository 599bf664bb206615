//! The evidence on one screen of a terminal.

use graft_client::proto::{Head, Interval, MultiLabelReport, Report};

use super::{
    count, name, or_none, percent,
    verdict::{Verdict, sentences, title},
};
use crate::output::table;

/// Rows of a list, at the most.
const ROWS: usize = 10;
/// Classes that are all shown; of more, the worst.
const CLASSES: usize = 20;

/// Letters of a label, at the most: a table of longer ones does not fit a terminal.
const LETTERS: usize = 28;

/// As much of a label as fits.
pub fn short(label: &str) -> String {
    if label.chars().count() <= LETTERS {
        return label.to_owned();
    }
    label.chars().take(LETTERS - 1).collect::<String>() + "…"
}

/// The evidence of `head`, for people.
pub fn text(head: &Head) -> String {
    let report = head.report.clone().unwrap_or_default();
    let parts = [
        heading(head, &report),
        figures(&report),
        warnings(&report),
        classes(&report),
        confusions(&report),
        mistakes(&report),
        label_errors(&report),
    ];
    let shown: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    shown.join("\n")
}

fn heading(head: &Head, report: &Report) -> String {
    let fitted = match &head.origin {
        None => format!("fitted on {} examples of `{}`", count(report.train_count), head.dataset),
        Some(origin) if origin.note.is_empty() => "imported".to_owned(),
        Some(origin) => format!("imported: {}", origin.note),
    };
    let mut text = format!(
        "{}@{}: {}\n{} classes on {}, {fitted}\n\n",
        head.name,
        head.version,
        Verdict::of(report).title().to_lowercase(),
        head.labels.len(),
        head.space,
    );
    for sentence in sentences(report) {
        text += &format!("{sentence}\n");
    }
    text
}

fn figures(report: &Report) -> String {
    if report.test_count == 0 {
        return String::new();
    }
    let intervals = report.intervals.unwrap_or_default();
    if let Some(sets) = &report.multi_label {
        return set_figures(report, sets);
    }
    let row = figure_row;
    let mut rows = vec![
        row("accuracy", report.accuracy, intervals.accuracy),
        row("balanced accuracy", report.balanced_accuracy, intervals.balanced_accuracy),
        row("macro F1", report.macro_f1, intervals.macro_f1),
        row("log loss", report.log_loss, intervals.log_loss),
    ];
    rows.extend(report.roc_auc.map(|figure| row("ROC AUC", figure, intervals.roc_auc)));
    rows.extend(report.average_precision.map(|figure| row("average precision", figure, intervals.average_precision)));
    rows.extend(report.top_k.iter().map(|top| row(&format!("top-{} accuracy", top.k), top.accuracy, None)));
    if let Some(calibration) = &report.calibration {
        rows.push(row("calibration error", calibration.error_after, None));
        rows.push(row("  before temperature", calibration.error_before, None));
    }
    table(&["figure", "", "95% interval"], &rows)
}

fn figure_row(name: &str, figure: f64, interval: Option<Interval>) -> Vec<String> {
    let sure = interval.map(|i| format!("{:.4} to {:.4}", i.low, i.high)).unwrap_or_default();
    vec![name.to_owned(), format!("{figure:.4}"), sure]
}

/// The figures of a head that gives several labels.
fn set_figures(report: &Report, sets: &MultiLabelReport) -> String {
    let intervals = report.intervals.unwrap_or_default();
    let mut rows = vec![
        figure_row("exactly right", report.accuracy, intervals.accuracy),
        figure_row("micro F1", sets.micro_f1, sets.micro_f1_interval),
        figure_row("macro F1", report.macro_f1, intervals.macro_f1),
        figure_row("Hamming loss", sets.hamming_loss, sets.hamming_loss_interval),
        figure_row("log loss", report.log_loss, intervals.log_loss),
    ];
    rows.extend(report.roc_auc.map(|figure| figure_row("ROC AUC", figure, intervals.roc_auc)));
    let precision = report.average_precision;
    rows.extend(precision.map(|figure| figure_row("mean average precision", figure, intervals.average_precision)));
    if let Some(calibration) = &report.calibration {
        rows.push(figure_row("calibration error", calibration.error_after, None));
        rows.push(figure_row("  before temperature", calibration.error_before, None));
    }
    table(&["figure", "", "95% interval"], &rows)
}

fn warnings(report: &Report) -> String {
    report.warnings.iter().map(|warning| format!("! {}: {}\n", title(warning.kind()), warning.message)).collect()
}

fn classes(report: &Report) -> String {
    let mut classes: Vec<_> = report.classes.iter().collect();
    let all = classes.len();
    if all > CLASSES {
        classes.sort_by(|a, b| a.f1.total_cmp(&b.f1));
        classes.truncate(CLASSES);
    }
    if report.multi_label.is_some() {
        let classes: Vec<_> = classes.into_iter().cloned().collect();
        let shown = super::labels(&classes);
        return if all > CLASSES { format!("the {CLASSES} worst of {all} labels\n{shown}") } else { shown };
    }
    let figure = |figure: f64| format!("{figure:.3}");
    let row = |class: &&graft_client::proto::ClassReport| {
        vec![
            short(&class.label),
            figure(class.precision),
            figure(class.recall),
            figure(class.f1),
            class.train_count.to_string(),
            class.support.to_string(),
        ]
    };
    let rows: Vec<_> = classes.iter().map(row).collect();
    let shown = table(&["class", "precision", "recall", "F1", "train", "test"], &rows);
    if all > CLASSES { format!("the {CLASSES} worst of {all} classes\n{shown}") } else { shown }
}

fn confusions(report: &Report) -> String {
    let rows: Vec<Vec<String>> = super::page::confusion::worst_pairs(report, ROWS)
        .into_iter()
        .map(|pair| {
            vec![format!("{} taken for {}", short(&pair.label), short(&pair.predicted)), pair.count.to_string()]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["most frequent confusions", "test"], &rows) }
}

fn mistakes(report: &Report) -> String {
    let row = |mistake: &graft_client::proto::Mistake| {
        let sure = percent(mistake.confidence);
        let (label, predicted) = (or_none(&mistake.label), or_none(&mistake.predicted));
        vec![name(&mistake.id, &mistake.hash), short(label), short(predicted), sure]
    };
    let rows: Vec<_> = report.mistakes.iter().take(ROWS).map(row).collect();
    let headings = match &report.multi_label {
        None => ["surest mistakes", "is", "predicted", "confidence"],
        Some(_) => ["surest mistakes", "missed", "wrongly given", "confidence"],
    };
    if rows.is_empty() { String::new() } else { table(&headings, &rows) }
}

fn label_errors(report: &Report) -> String {
    let Some(errors) = report.label_errors.as_ref().filter(|errors| errors.found > 0) else { return String::new() };
    let row = |error: &graft_client::proto::LabelError| {
        let sure = percent(error.suggested_probability);
        let (label, suggested) = (or_none(&error.label), or_none(&error.suggested));
        vec![name(&error.id, &error.hash), short(label), short(suggested), sure]
    };
    let rows: Vec<_> = errors.errors.iter().take(ROWS).map(row).collect();
    let headings = match &report.multi_label {
        None => ["likely label errors", "labelled", "suggested", "probability"],
        Some(_) => ["likely label errors", "one too many", "missing", "probability"],
    };
    let shown = table(&headings, &rows);
    format!("{} of {} labels are likely wrong\n{shown}", count(errors.found), count(errors.examined))
}
