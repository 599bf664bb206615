//! What speaks against using a head as it is.

use graft_proto::v1::{Report, Warning, WarningKind};

use super::{evidence::Evidence, set_warnings};
use crate::evaluate::bootstrap::wilson;

/// Warnings of one kind about single classes; what is more is told in one.
const MOST_OF_A_KIND: usize = 8;
/// Examples of a class to fit on, below which its weights are chance more than knowledge.
pub(super) const FEW_TRAIN: u64 = 20;
/// Examples of a class to measure on, below which its figures say next to nothing: one more mistake is 20 points.
pub(super) const FEW_TEST: u64 = 5;
/// How far the accuracy may be off either way.
const UNSURE: f64 = 0.05;
/// A calibration error that is bad, and the examples that it needs to be more than chance.
const BAD_CALIBRATION: (f64, u64) = (0.1, 200);
/// The part of the labels that may be wrong.
const LABEL_ERRORS: f64 = 0.05;

/// The warnings that are due, the gravest first. `report` is complete but for them; `iterations` is how many a fit may take.
pub fn warnings(report: &Report, evidence: &Evidence) -> Vec<Warning> {
    let sets = report.multi_label.is_some();
    let whole = [
        no_test(report),
        if sets { set_warnings::no_better(report) } else { no_better(report) },
        not_converged(report),
        near_duplicates(evidence),
        small_test(report),
        badly_calibrated(report),
        many_label_errors(report),
        l2_at_edge(report),
    ];
    let mut warnings: Vec<Warning> = whole.into_iter().flatten().collect();
    warnings.extend(if sets { set_warnings::never_given(report) } else { never_predicted(report) });
    warnings.extend(identical(report, evidence));
    warnings.extend(few_examples(report));
    warnings.extend(few_test_examples(report));
    if sets {
        warnings.extend(set_warnings::few_without(report));
    }
    warnings
}

pub(super) fn about(kind: WarningKind, message: String) -> Option<Warning> {
    Some(Warning { kind: kind as i32, label: String::new(), message })
}

fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

fn no_test(report: &Report) -> Option<Warning> {
    let message = "There was no example left to measure on, so nothing is known of how good the head is: import more.";
    if report.test_count == 0 { about(WarningKind::NoTest, message.into()) } else { None }
}

fn no_better(report: &Report) -> Option<Warning> {
    let (count, majority) = (report.test_count as f64, report.majority_accuracy);
    if report.test_count == 0 || wilson(report.accuracy * count, count).low > majority {
        return None;
    }
    about(
        WarningKind::NoBetterThanMajority,
        format!(
            "It is right on {} of the test split, and always naming the most frequent class would be on {}: it is not surely \
             better than that. More or better examples are needed, or another backbone.",
            percent(report.accuracy),
            percent(majority)
        ),
    )
}

fn not_converged(report: &Report) -> Option<Warning> {
    if report.converged {
        return None;
    }
    let message = "The last fit stopped at its most iterations, before its optimum: raise max_iterations.";
    about(WarningKind::NotConverged, message.into())
}

fn near_duplicates(evidence: &Evidence) -> Option<Warning> {
    let found = &evidence.near_duplicates;
    if found.pairs.is_empty() {
        return None;
    }
    about(
        WarningKind::NearDuplicates,
        format!(
            "{} of {} test examples are nearly the same picture as one that was fitted on, so the figures are better than \
             they will be on new pictures. Put pictures of one thing in one split.",
            found.pairs.len(),
            found.searched
        ),
    )
}

fn small_test(report: &Report) -> Option<Warning> {
    let count = report.test_count as f64;
    let interval = wilson(report.accuracy * count, count);
    if report.test_count == 0 || interval.high - interval.low <= 2.0 * UNSURE {
        return None;
    }
    about(
        WarningKind::SmallTest,
        format!(
            "{} test examples are few: the true {} may be anything from {} to {}. Measure on more before you rely on it.",
            report.test_count,
            if report.multi_label.is_some() { "part that gets exactly its labels" } else { "accuracy" },
            percent(interval.low),
            percent(interval.high)
        ),
    )
}

fn badly_calibrated(report: &Report) -> Option<Warning> {
    let error = report.calibration.as_ref()?.error_after;
    if error <= BAD_CALIBRATION.0 || report.test_count < BAD_CALIBRATION.1 {
        return None;
    }
    let what = if report.multi_label.is_some() { "labels that it gives" } else { "predicted class" };
    let message = format!(
        "Its probabilities are {} points off on average: rely on the {what}, and not on how sure it is.",
        (100.0 * error).round()
    );
    about(WarningKind::BadlyCalibrated, message)
}

fn many_label_errors(report: &Report) -> Option<Warning> {
    let errors = report.label_errors.as_ref()?;
    if errors.found as f64 <= LABEL_ERRORS * errors.examined as f64 {
        return None;
    }
    about(
        WarningKind::ManyLabelErrors,
        format!(
            "{} of {} labels are likely wrong, or their classes hard to tell apart. Look at the list: correcting labels helps \
             more than most else.",
            errors.found, errors.examined
        ),
    )
}

fn l2_at_edge(report: &Report) -> Option<Warning> {
    let [first, .., last] = &report.l2_trials[..] else { return None };
    if report.l2 != first.l2 && report.l2 != last.l2 {
        return None;
    }
    about(
        WarningKind::L2AtEdge,
        format!("The best L2 of those tried, {:.1e}, was at their end: try values beyond it.", report.l2),
    )
}

fn never_predicted(report: &Report) -> Vec<Warning> {
    let count = report.classes.len();
    let predicted =
        |class: usize| (0..count).any(|row| report.confusion.get(row * count + class).is_some_and(|n| *n > 0));
    let classes = report.classes.iter().enumerate().filter(|(at, class)| class.support > 0 && !predicted(*at));
    each(WarningKind::NeverPredicted, classes.map(|(_, class)| class.label.as_str()), &|label| {
        format!("`{label}` is never predicted, though the test split has examples of it.")
    })
}

fn identical(report: &Report, evidence: &Evidence) -> Vec<Warning> {
    let labels = evidence.identical.iter().filter_map(|class| report.classes.get(*class as usize));
    each(WarningKind::IdenticalExamples, labels.map(|class| class.label.as_str()), &|label| {
        format!("All examples of `{label}` that were fitted on have the same embedding: they tell no more than one.")
    })
}

fn few_examples(report: &Report) -> Vec<Warning> {
    let classes = report.classes.iter().filter(|class| class.train_count < FEW_TRAIN);
    each(WarningKind::FewExamples, classes.map(|class| class.label.as_str()), &|label| {
        format!("`{label}` has fewer than {FEW_TRAIN} examples to fit on: more would likely make it better.")
    })
}

fn few_test_examples(report: &Report) -> Vec<Warning> {
    let classes = report.classes.iter().filter(|class| report.test_count > 0 && class.support < FEW_TEST);
    each(WarningKind::FewTestExamples, classes.map(|class| class.label.as_str()), &|label| {
        format!("`{label}` has fewer than {FEW_TEST} test examples: its own figures say little.")
    })
}

/// A warning for each label, or one for those that are too many to tell.
pub(super) fn each<'a>(
    kind: WarningKind,
    labels: impl Iterator<Item = &'a str>,
    message: &dyn Fn(&str) -> String,
) -> Vec<Warning> {
    let labels: Vec<&str> = labels.collect();
    let mut warnings: Vec<Warning> = labels
        .iter()
        .take(MOST_OF_A_KIND)
        .map(|label| Warning { kind: kind as i32, label: (*label).to_owned(), message: message(label) })
        .collect();
    if let Some(more) = labels.len().checked_sub(MOST_OF_A_KIND).filter(|more| *more > 0) {
        warnings.extend(about(kind, format!("The same holds for {more} further classes.")));
    }
    warnings
}
