//! What one version was asked.

use std::sync::atomic::{AtomicI64, Ordering};

use graft_proto::v1::{DriftLevel, Report};
use parking_lot::Mutex;

use super::{
    baseline::Baseline,
    psi::Drift,
    windows::{Count, Windows},
};
use crate::{
    evaluate::{calibration::BINS, most_probable},
    store::now,
};

/// What one version was asked of late.
#[derive(Debug)]
pub struct VersionTraffic {
    classes: usize,
    /// Whether it gives each input a set of labels.
    sets: bool,
    baseline: Option<Baseline>,
    seen: Mutex<Seen>,
    /// When it last answered, in milliseconds since 1970; 0 if it never did.
    last: AtomicI64,
}

#[derive(Debug)]
struct Seen {
    windows: Windows<Counts>,
    /// Answers since the beginning.
    all: u64,
    /// The level that was last told of.
    told: DriftLevel,
}

/// What was counted of answers.
#[derive(Debug)]
struct Counts {
    answers: u64,
    /// How often each class was predicted, or each label given.
    classes: Box<[u32]>,
    /// How often the confidence was in each bin: of the predicted class, or of each label.
    confidence: [u32; BINS],
    confidence_sum: f64,
}

/// What a version was asked of late, for whoever asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Answers that the rest is of.
    pub answers: u64,
    /// Answers since the beginning.
    pub all: u64,
    /// When it last answered, in milliseconds since 1970.
    pub last: i64,
    /// The mean confidence.
    pub confidence: f64,
    /// How often each class was predicted, or each label given.
    pub classes: Vec<u64>,
    /// How far the predicted classes are from those on the test split.
    pub class_drift: Option<Drift>,
    /// The same of the confidence.
    pub confidence_drift: Option<Drift>,
}

impl Count for Counts {
    fn clear(&mut self) {
        self.answers = 0;
        self.classes.fill(0);
        self.confidence = [0; BINS];
        self.confidence_sum = 0.0;
    }
}

impl Counts {
    fn new(classes: usize) -> Counts {
        Counts { answers: 0, classes: vec![0; classes].into(), confidence: [0; BINS], confidence_sum: 0.0 }
    }

    fn trust(&mut self, probability: f32) {
        let probability = f64::from(probability);
        // As in the report: the upper bound of a bin is in it.
        self.confidence[((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1] += 1;
        self.confidence_sum += probability;
    }
}

impl VersionTraffic {
    /// Of a version with so many `classes` and this report; its answers are sets of labels if it has `thresholds` and was not
    /// measured as one that gives each input a class.
    pub fn new(classes: usize, report: Option<&Report>, thresholds: bool) -> VersionTraffic {
        let sets = report.map_or(thresholds, |report| thresholds && report.multi_label.is_some());
        VersionTraffic {
            classes,
            sets,
            baseline: report.and_then(|report| Baseline::of(report, classes)),
            seen: Mutex::new(Seen {
                windows: Windows::new(Counts::new(classes), Counts::new(classes)),
                all: 0,
                told: DriftLevel::Unknown,
            }),
            last: AtomicI64::new(0),
        }
    }

    /// Count answers: `probabilities`, `[rows, classes]`; from `thresholds` on each label is given, where it has any.
    pub fn count(&self, probabilities: &[f32], thresholds: Option<&[f32]>) {
        let mut seen = self.seen.lock();
        for row in probabilities.chunks_exact(self.classes.max(1)) {
            seen.all += 1;
            let counts = seen.windows.slot();
            counts.answers += 1;
            match thresholds.filter(|_| self.sets) {
                Some(thresholds) => {
                    for (class, (probability, threshold)) in row.iter().zip(thresholds).enumerate() {
                        counts.trust(*probability);
                        counts.classes[class] += u32::from(probability >= threshold);
                    }
                }
                None => {
                    let class = most_probable(row);
                    counts.trust(row[class]);
                    counts.classes[class] += 1;
                }
            }
        }
        self.last.store(now(), Ordering::Relaxed);
    }

    /// When it last answered, in milliseconds since 1970; 0 if it never did.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }

    /// What it answered on its test split.
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// What it was asked of late; `None` if nothing.
    pub fn figures(&self) -> Option<Figures> {
        let (answers, all, classes, confidence, confidence_sum) = {
            let seen = self.seen.lock();
            let windows = &seen.windows;
            let classes: Vec<u64> =
                (0..self.classes).map(|class| windows.sum(|counts| u64::from(counts.classes[class]))).collect();
            let confidence: Vec<u64> =
                (0..BINS).map(|bin| windows.sum(|counts| u64::from(counts.confidence[bin]))).collect();
            let answers: u64 = windows.sum(|counts| counts.answers);
            (answers, seen.all, classes, confidence, windows.sum::<f64>(|counts| counts.confidence_sum))
        };
        if answers == 0 {
            return None;
        }
        let then = self.baseline.as_ref();
        // The labels of one answer depend on each other: they are no more observations than there are answers.
        let independent = then.map_or([0; 2], |then| [answers, then.examples]);
        Some(Figures {
            answers,
            all,
            last: self.last(),
            confidence: confidence_sum / confidence.iter().sum::<u64>().max(1) as f64,
            class_drift: then.and_then(|then| Drift::between(&classes, &then.classes, independent)),
            confidence_drift: then.and_then(|then| Drift::between(&confidence, &then.confidence, independent)),
            classes,
        })
    }

    /// Note that `level` was told of; gives back the one before.
    pub fn tell(&self, level: DriftLevel) -> DriftLevel {
        std::mem::replace(&mut self.seen.lock().told, level)
    }
}

impl Figures {
    /// What both drifts mean together: the greater of them.
    pub fn level(&self) -> DriftLevel {
        let levels = [self.class_drift, self.confidence_drift].into_iter().flatten().map(|drift| drift.level());
        levels.max_by_key(|level| *level as i32).unwrap_or(DriftLevel::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::MultiLabelReport;

    use super::{super::baseline::tests::report, *};

    /// Answers like those on the test split: each class as often, 0.9 and 0.98 sure.
    fn usual(traffic: &VersionTraffic, answers: std::ops::Range<usize>) {
        for at in answers {
            let sure = if at % 10 < 4 { 0.9 } else { 0.98 };
            let row = if at % 2 == 0 { [sure, 1.0 - sure] } else { [1.0 - sure, sure] };
            traffic.count(&row, None);
        }
    }

    #[test]
    fn traffic_like_the_test_split_is_steady_and_other_traffic_is_not() {
        let traffic = VersionTraffic::new(2, Some(&report()), false);
        assert_eq!(traffic.figures(), None);
        usual(&traffic, 0..199);
        assert_eq!(traffic.figures().unwrap().level(), DriftLevel::Unknown, "too few");
        usual(&traffic, 199..1000);
        let found = traffic.figures().unwrap();
        assert_eq!((found.answers, found.all, &found.classes[..]), (1000, 1000, &[500, 500][..]));
        assert_eq!((found.level(), found.class_drift.unwrap().index), (DriftLevel::Steady, 0.0));
        assert!((found.confidence - 0.948).abs() < 1e-6);

        // Two windows later nothing is left of it.
        (0..2000).for_each(|_| traffic.count(&[0.6, 0.4], None));
        let found = traffic.figures().unwrap();
        assert_eq!((found.answers, found.all, &found.classes[..]), (2000, 3000, &[2000, 0][..]));
        assert!(found.class_drift.unwrap().index > 0.25 && found.confidence_drift.unwrap().index > 0.25);
        assert_eq!(found.level(), DriftLevel::Alarm);
        assert_eq!(
            (traffic.tell(found.level()), traffic.tell(found.level())),
            (DriftLevel::Unknown, DriftLevel::Alarm)
        );
    }

    #[test]
    fn of_sets_every_label_that_is_given_counts() {
        let multi_label = Some(MultiLabelReport::default());
        let traffic = VersionTraffic::new(3, Some(&Report { multi_label, ..report() }), true);
        let thresholds = Some(&[0.5, 0.5, 0.9][..]);
        traffic.count(&[0.5, 0.6, 0.8, 0.1, 0.2, 0.3], thresholds);
        let found = traffic.figures().unwrap();
        assert_eq!((found.answers, &found.classes[..]), (2, &[1, 1, 0][..]));
        assert!((found.confidence - 2.5 / 6.0).abs() < 1e-6);
        // One that was measured as a head that names a class is counted as one.
        let traffic = VersionTraffic::new(3, Some(&report()), true);
        traffic.count(&[0.5, 0.6, 0.8], thresholds);
        assert_eq!(traffic.figures().unwrap().classes, [0, 0, 1]);
    }
}
