//! What speaks against using a head that gives sets of labels, where that is not the same as for one class an example.

use graft_proto::v1::{ClassReport, Report, Warning, WarningKind};

use super::warnings::{FEW_TEST, FEW_TRAIN, about, each};

/// The ROC AUC of chance.
const CHANCE: f64 = 0.5;

/// Whether the head is not surely better than chance: that always giving the most frequent set is exact more often says little, for
/// exact matches are rare where there are many labels.
pub fn no_better(report: &Report) -> Option<Warning> {
    let auc = report.roc_auc?;
    let interval = report.intervals.as_ref().and_then(|intervals| intervals.roc_auc.as_ref());
    if interval.map_or(auc, |interval| interval.low) > CHANCE {
        return None;
    }
    about(
        WarningKind::NoBetterThanMajority,
        format!(
            "It ranks test examples that have a label above those without it in {:.1}% of pairs, where chance gives 50%: it is \
             not surely better than that. More or better examples are needed, or another backbone.",
            100.0 * auc
        ),
    )
}

/// Labels that no test example was given.
pub fn never_given(report: &Report) -> Vec<Warning> {
    let given = |class: &ClassReport| class.counts.is_some_and(|c| c.true_positives + c.false_positives > 0);
    let classes = report.classes.iter().filter(|class| class.support > 0 && !given(class));
    each(WarningKind::NeverPredicted, classes.map(|class| class.label.as_str()), &|label| {
        format!("`{label}` is never given, though the test split has examples of it.")
    })
}

/// Labels that nearly every example has: how it looks without them is not known.
pub fn few_without(report: &Report) -> Vec<Warning> {
    let rarely_missing = |count: u64, all: u64, least: u64| all > 0 && all.saturating_sub(count) < least;
    let fitted = report.classes.iter().filter(|c| rarely_missing(c.train_count, report.train_count, FEW_TRAIN));
    let mut warnings = each(WarningKind::FewExamples, fitted.map(|class| class.label.as_str()), &|label| {
        format!("Fewer than {FEW_TRAIN} examples to fit on are without `{label}`: more would likely make it better.")
    });
    let tested = report.classes.iter().filter(|c| rarely_missing(c.support, report.test_count, FEW_TEST));
    warnings.extend(each(WarningKind::FewTestExamples, tested.map(|class| class.label.as_str()), &|label| {
        format!("Fewer than {FEW_TEST} test examples are without `{label}`: its own figures say little.")
    }));
    warnings
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::LabelCounts;

    use super::*;

    fn class(label: &str, train_count: u64, counts: [u64; 4]) -> ClassReport {
        let [true_positives, false_positives, false_negatives, true_negatives] = counts;
        let support = true_positives + false_negatives;
        let counts = Some(LabelCounts { true_positives, false_positives, false_negatives, true_negatives });
        ClassReport { label: label.into(), support, train_count, counts, ..Default::default() }
    }

    #[test]
    fn labels_that_are_never_given_or_nearly_always_there_are_named() {
        let classes = vec![
            class("fine", 50, [20, 1, 2, 77]),
            class("missed", 50, [0, 0, 9, 91]),
            class("always", 95, [98, 1, 1, 0]),
        ];
        let report = Report { classes, train_count: 100, test_count: 100, ..Default::default() };
        let about =
            |warnings: Vec<Warning>| warnings.into_iter().map(|w| (w.label.clone(), w.kind())).collect::<Vec<_>>();
        assert_eq!(about(never_given(&report)), [("missed".into(), WarningKind::NeverPredicted)]);
        let expected =
            [("always".into(), WarningKind::FewExamples), ("always".to_owned(), WarningKind::FewTestExamples)];
        assert_eq!(about(few_without(&report)), expected);
    }

    #[test]
    fn a_head_that_ranks_by_chance_is_no_better() {
        let report = |low: f64| {
            let bounds = graft_proto::v1::Interval { low, high: 0.7 };
            let intervals = graft_proto::v1::Intervals { roc_auc: Some(bounds), ..Default::default() };
            Report { roc_auc: Some(0.6), intervals: Some(intervals), ..Default::default() }
        };
        assert!(no_better(&report(0.45)).is_some() && no_better(&report(0.55)).is_none());
        assert!(no_better(&Report::default()).is_none());
    }
}
