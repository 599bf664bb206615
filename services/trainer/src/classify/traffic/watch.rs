//! Tells of drift, in the log and the metrics.

use std::{sync::Arc, time::Duration};

use graft_chassis::metrics::Metrics;
use graft_proto::v1::DriftLevel;
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};

use super::{Traffic, VersionTraffic, psi::Drift, version::Figures};
use crate::classify::resolve::HeadVersion;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(5);
/// Versions whose drift the metrics tell, at the most: those with the most.
const MOST_TOLD: usize = 200;

/// What a version was asked, while it is looked at.
struct Looked {
    name: String,
    figures: Figures,
    level: DriftLevel,
}

/// Look at `traffic` until the process ends, and tell of drift in the log and in `metrics`.
pub async fn watch(traffic: Traffic, metrics: Metrics) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (traffic, metrics) = (traffic.clone(), metrics.clone());
        // With many heads it takes a while. What breaks down is told by the hook of the process, and tried again.
        let _ = tokio::task::spawn_blocking(move || tell(&metrics, look(traffic.versions()))).await;
    }
}

/// The versions that were asked, with the most drift first.
fn look(versions: Vec<(HeadVersion, Arc<VersionTraffic>)>) -> Vec<Looked> {
    let looked = versions.iter().filter_map(|(version, traffic)| {
        let figures = traffic.figures()?;
        let looked = Looked { name: version.to_string(), level: figures.level(), figures };
        let before = traffic.tell(looked.level);
        if before != looked.level {
            looked.log(before);
        }
        Some(looked)
    });
    let mut looked: Vec<Looked> = looked.collect();
    looked.sort_by(|a, b| b.most().total_cmp(&a.most()));
    looked
}

fn tell(metrics: &Metrics, looked: Vec<Looked>) {
    for (name, level) in [("watch", DriftLevel::Watch), ("alarm", DriftLevel::Alarm)] {
        let count = looked.iter().filter(|one| one.level == level).count();
        gauge!("graft_trainer_heads_drifting", "level" => name).set(count as f64);
    }
    let series = looked.iter().take(MOST_TOLD).flat_map(|Looked { name, figures, .. }| {
        let kinds = [("classes", figures.class_drift), ("confidence", figures.confidence_drift)];
        kinds.into_iter().filter_map(move |(kind, drift)| Some(([("head", &name[..]), ("kind", kind)], drift?.index)))
    });
    metrics.replace("graft_trainer_head_drift", series);
}

impl Looked {
    /// The greater of both drifts.
    fn most(&self) -> f64 {
        let Figures { class_drift, confidence_drift, .. } = &self.figures;
        [class_drift, confidence_drift].into_iter().flatten().map(|drift| drift.index).fold(-1.0, f64::max)
    }

    fn log(&self, before: DriftLevel) {
        let Looked { name, figures: Figures { class_drift, confidence_drift, answers, .. }, level } = self;
        let told = |drift: &Option<Drift>| drift.map_or(f64::NAN, |drift| drift.index);
        let (classes, confidence) = (told(class_drift), told(confidence_drift));
        match level {
            DriftLevel::Watch | DriftLevel::Alarm => tracing::warn!(
                head = name,
                level = level.as_str_name(),
                classes,
                confidence,
                answers,
                "the answers are far from those on the test split"
            ),
            // Nothing was wrong before.
            _ if matches!(before, DriftLevel::Unknown | DriftLevel::Steady) => {}
            _ => tracing::info!(
                head = name,
                classes,
                confidence,
                answers,
                "the answers are near those on the test split again"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::baseline::tests::report, *};
    use crate::names::Tenant;

    #[test]
    fn the_metrics_tell_of_the_versions_with_the_most_drift() {
        let traffic = Traffic::default();
        let of = |version: u32| {
            let version = HeadVersion { tenant: Tenant::default(), name: "h".into(), version };
            traffic.of_version(&version, || VersionTraffic::new(2, Some(&report()), false))
        };
        let steady = |traffic: &VersionTraffic, at: usize| {
            let sure = if at % 10 < 4 { 0.9 } else { 0.98 };
            traffic.count(&if at.is_multiple_of(2) { [sure, 1.0 - sure] } else { [1.0 - sure, sure] }, None);
        };
        (0..400).for_each(|at| steady(&of(1), at));
        for version in 2..2 + MOST_TOLD as u32 {
            (0..400).for_each(|_| of(version).count(&[0.6, 0.4], None));
        }
        of(1000);
        let looked = look(traffic.versions());
        assert_eq!(looked.len(), MOST_TOLD + 1, "what was asked nothing is left out");
        assert_eq!((looked[0].level, looked[MOST_TOLD].level), (DriftLevel::Alarm, DriftLevel::Steady));
        let metrics = Metrics::default();
        tell(&metrics, looked);
        let text = metrics.render();
        assert!(text.contains("graft_trainer_head_drift{head=\"h@2\",kind=\"classes\"}"), "{text}");
        assert!(!text.contains("h@1\"") && text.lines().filter(|line| line.contains("head=")).count() == 2 * MOST_TOLD);
    }
}
