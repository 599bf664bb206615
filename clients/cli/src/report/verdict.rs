//! What the evidence comes to, in words.

use graft_client::proto::{MultiLabelReport, Report, WarningKind};

use super::{count, percent};

/// Whether a person should use the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Ready,
    /// Something should be looked at first.
    Look,
    /// It should not be used as it is.
    NotReady,
}

impl Verdict {
    /// What the warnings of `report` come to.
    pub fn of(report: &Report) -> Verdict {
        match report.warnings.iter().map(|warning| grave(warning.kind())).max() {
            None => Verdict::Ready,
            Some(false) => Verdict::Look,
            Some(true) => Verdict::NotReady,
        }
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        match self {
            Verdict::Ready => "Nothing speaks against it",
            Verdict::Look => "Look at the warnings first",
            Verdict::NotReady => "Not ready",
        }
    }
}

/// Whether the figures cannot be relied upon, or the head is of no use, while this holds.
pub fn grave(kind: WarningKind) -> bool {
    matches!(kind, WarningKind::NoTest | WarningKind::NoBetterThanMajority | WarningKind::NearDuplicates)
}

/// A warning's kind in two or three words.
pub fn title(kind: WarningKind) -> &'static str {
    match kind {
        WarningKind::Unspecified => "Warning",
        WarningKind::NoTest => "Not measured",
        WarningKind::NoBetterThanMajority => "No better than guessing",
        WarningKind::NotConverged => "Not converged",
        WarningKind::NearDuplicates => "Test pictures in training",
        WarningKind::SmallTest => "Small test split",
        WarningKind::FewExamples => "Few examples",
        WarningKind::FewTestExamples => "Few test examples",
        WarningKind::NeverPredicted => "Never predicted",
        WarningKind::IdenticalExamples => "Identical examples",
        WarningKind::BadlyCalibrated => "Badly calibrated",
        WarningKind::ManyLabelErrors => "Many likely label errors",
        WarningKind::L2AtEdge => "L2 at its edge",
    }
}

/// The figures in sentences.
pub fn sentences(report: &Report) -> Vec<String> {
    if report.test_count == 0 {
        return vec!["No example was held out, so there is no figure to go by.".into()];
    }
    let right = (report.accuracy * report.test_count as f64).round() as u64;
    let interval = report.intervals.as_ref().and_then(|intervals| intervals.accuracy.as_ref());
    let sure =
        interval.map(|i| format!(" (95% interval {} to {})", percent(i.low), percent(i.high))).unwrap_or_default();
    let mut sentences = match &report.multi_label {
        None => vec![
            format!(
                "Of {} pictures that it had never seen, it named {} rightly: {}{sure}.",
                count(report.test_count),
                count(right),
                percent(report.accuracy)
            ),
            format!("Always naming the most frequent class would be right on {}.", percent(report.majority_accuracy)),
        ],
        Some(sets) => vec![
            format!(
                "Of {} pictures that it had never seen, it gave {} exactly their labels, no more and no less: {}{sure}.",
                count(report.test_count),
                count(right),
                percent(report.accuracy)
            ),
            of_labels(sets),
            format!("Always giving the most frequent set would be right on {}.", percent(report.majority_accuracy)),
        ],
    };
    if let Some(calibration) = &report.calibration {
        sentences
            .push(format!("Its stated confidence is {:.1} points off on average.", 100.0 * calibration.error_after));
    }
    if let Some(unknown) = &report.unknown {
        sentences.push(format!(
            "Asked to say “unknown” when unsure, it answers {} and is right on {} of its answers.",
            percent(unknown.coverage),
            percent(unknown.accuracy)
        ));
    }
    if let Some(forecast) = report.learning_curve.as_ref().and_then(|curve| curve.forecast.as_ref()) {
        sentences.push(format!("Twice the data would give about {}.", percent(forecast.accuracy)));
    }
    sentences
}

/// Label by label, how many it finds and how many of those that it gives are right.
fn of_labels(sets: &MultiLabelReport) -> String {
    format!(
        "It found {} of the labels that they have, and {} of those that it gave are right.",
        percent(sets.micro_recall),
        percent(sets.micro_precision)
    )
}

#[cfg(test)]
mod tests {
    use graft_client::proto::Warning;

    use super::*;

    #[test]
    fn the_gravest_warning_decides() {
        let report = |kinds: &[WarningKind]| Report {
            warnings: kinds.iter().map(|kind| Warning { kind: *kind as i32, ..Default::default() }).collect(),
            ..Default::default()
        };
        assert_eq!(Verdict::of(&report(&[])), Verdict::Ready);
        assert_eq!(Verdict::of(&report(&[WarningKind::SmallTest])), Verdict::Look);
        assert_eq!(Verdict::of(&report(&[WarningKind::NoTest, WarningKind::SmallTest])), Verdict::NotReady);
    }

    #[test]
    fn a_head_that_was_not_measured_has_no_figures() {
        assert_eq!(sentences(&Report::default()).len(), 1);
        let measured = Report { accuracy: 0.9, test_count: 1000, majority_accuracy: 0.5, ..Default::default() };
        assert!(sentences(&measured)[0].contains("1,000") && sentences(&measured)[0].contains("900 rightly: 90.0%"));
        let sets = MultiLabelReport { micro_recall: 0.75, micro_precision: 0.8, ..Default::default() };
        let sets = sentences(&Report { multi_label: Some(sets), ..measured });
        assert!(sets[0].contains("900 exactly") && sets[1].contains("75.0%") && sets[1].contains("80.0%"), "{sets:?}");
    }
}
