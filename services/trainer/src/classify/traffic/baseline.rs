//! What a version answered on its test split: what its answers of now are compared with.

use graft_proto::v1::{ReliabilityBin, Report};

use crate::evaluate::calibration::BINS;

/// The answers on the test split.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Examples.
    pub examples: u64,
    /// How often each class was predicted, or each label given.
    pub classes: Vec<u64>,
    /// How often the confidence was in each of the bins.
    pub confidence: Vec<u64>,
    /// Its mean.
    pub mean_confidence: f64,
}

impl Baseline {
    /// What the report of a head with so many `classes` tells of them; `None` if it had no test split.
    pub fn of(report: &Report, classes: usize) -> Option<Baseline> {
        let bins = &report.calibration.as_ref()?.after;
        let predicted = if report.multi_label.is_some() { given(report) } else { columns(&report.confusion, classes) };
        let fits = report.test_count > 0 && bins.len() == BINS && predicted.len() == classes;
        fits.then(|| Baseline {
            examples: report.test_count,
            classes: predicted,
            confidence: bins.iter().map(|bin| bin.count).collect(),
            mean_confidence: mean(bins),
        })
    }
}

/// The sums of the columns of a confusion matrix: how often each class was predicted.
fn columns(confusion: &[u64], classes: usize) -> Vec<u64> {
    let mut sums = vec![0; if confusion.len() == classes * classes { classes } else { 0 }];
    for row in confusion.chunks_exact(classes.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    sums
}

/// How often each label was given.
fn given(report: &Report) -> Vec<u64> {
    let counts = report.classes.iter().filter_map(|class| class.counts.as_ref());
    counts.map(|counts| counts.true_positives + counts.false_positives).collect()
}

fn mean(bins: &[ReliabilityBin]) -> f64 {
    let all: u64 = bins.iter().map(|bin| bin.count).sum();
    bins.iter().map(|bin| bin.count as f64 * bin.confidence).sum::<f64>() / all.max(1) as f64
}

#[cfg(test)]
pub(super) mod tests {
    use graft_proto::v1::{Calibration, ClassReport, LabelCounts, MultiLabelReport};

    use super::*;

    /// A report of two classes whose answers are sure and spread evenly.
    pub fn report() -> Report {
        let mut after = vec![ReliabilityBin::default(); BINS];
        after[13] = ReliabilityBin { count: 400, confidence: 0.9, accuracy: 0.9 };
        after[14] = ReliabilityBin { count: 600, confidence: 0.98, accuracy: 1.0 };
        Report {
            test_count: 1000,
            confusion: vec![480, 20, 20, 480],
            calibration: Some(Calibration { after, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn predictions_are_the_columns_of_the_confusion_matrix() {
        let mut report = report();
        report.confusion = vec![3, 1, 0, 996];
        let found = Baseline::of(&report, 2).unwrap();
        assert_eq!((found.examples, &found.classes[..], found.confidence[13]), (1000, &[3, 997][..], 400));
        assert!((found.mean_confidence - 0.948).abs() < 1e-12);
        assert_eq!(Baseline::of(&report, 3), None);
        report.calibration = None;
        assert_eq!(Baseline::of(&report, 2), None);
        assert_eq!(Baseline::of(&Report::default(), 2), None);
    }

    #[test]
    fn of_sets_of_labels_those_that_were_given_count() {
        let counts = |true_positives, false_positives| ClassReport {
            counts: Some(LabelCounts { true_positives, false_positives, false_negatives: 9, true_negatives: 9 }),
            ..Default::default()
        };
        let classes = vec![counts(5, 1), counts(0, 2)];
        let multi_label = Some(MultiLabelReport::default());
        let report = Report { classes, multi_label, confusion: Vec::new(), ..report() };
        assert_eq!(Baseline::of(&report, 2).unwrap().classes, [6, 2]);
    }
}
