//! What `/metrics` tells, in Prometheus' text form.

use std::{collections::BTreeMap, sync::Arc};

use metrics_exporter_prometheus::{PrometheusHandle, formatting};
use parking_lot::Mutex;

/// The metrics of this process: those of the recorder, and gauges whose labels come and go, which it would keep for ever.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// None where nothing is recorded, as in tests.
    recorder: Option<PrometheusHandle>,
    /// Each gauge as it is told, by its name.
    passing: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Metrics {
    /// Those of `recorder`.
    pub fn new(recorder: PrometheusHandle) -> Metrics {
        Metrics { recorder: Some(recorder), passing: Arc::default() }
    }

    /// Tell the gauge `name` with these labels and values from now on, and with no others that it had before.
    pub fn replace<'a, const N: usize>(
        &self,
        name: &'static str,
        series: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
    ) {
        let mut text = String::new();
        formatting::write_type_line(&mut text, name, None, None, "gauge");
        for (labels, value) in series {
            let labels = labels.map(|(key, value)| format!("{key}=\"{}\"", formatting::sanitize_label_value(value)));
            text += &format!("{name}{{{}}} {value}\n", labels.join(","));
        }
        text.push('\n');
        self.passing.lock().insert(name, text);
    }

    /// All of them.
    pub fn render(&self) -> String {
        let mut text = self.recorder.as_ref().map_or_else(String::new, PrometheusHandle::render);
        self.passing.lock().values().for_each(|gauge| text += gauge);
        text
    }

    /// Fold the recorder's histograms, so that they do not grow when nobody scrapes.
    pub fn run_upkeep(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_not_given_again_are_gone() {
        let metrics = Metrics::default();
        metrics
            .replace("drift", [([("head", "a\"b"), ("kind", "classes")], 0.5), ([("head", "c"), ("kind", "x")], 1.0)]);
        let text = metrics.render();
        assert!(text.contains("# TYPE drift gauge\ndrift{head=\"a\\\"b\",kind=\"classes\"} 0.5\n"), "{text}");
        metrics.replace("drift", [([("head", "c"), ("kind", "x")], 2.0)]);
        assert_eq!(metrics.render(), "# TYPE drift gauge\ndrift{head=\"c\",kind=\"x\"} 2\n\n");
    }
}
