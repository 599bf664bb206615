//! Random predictions, with the figures of scikit-learn, scipy and cleanlab that the scripts of this folder wrote beside them.

use graft_trainer::evaluate::bootstrap::Interval;
use serde_json::Value;

/// Random predictions with the figures to compare with; `T` is what is right for a row, or for a label of a row.
pub(crate) struct Case<T> {
    pub file: Value,
    pub index: usize,
    pub probabilities: Vec<f32>,
    pub truth: Vec<T>,
    pub classes: usize,
}

/// The cases of a file; what is right in them is under `key`.
pub(crate) fn cases<T>(file: &str, key: &str, truth: impl Fn(f64) -> T) -> Vec<Case<T>> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().iter().enumerate().map(|(index, case)| Case {
        file: case.clone(),
        index,
        probabilities: singles(&case["probabilities"]),
        truth: numbers(&case[key]).into_iter().map(&truth).collect(),
        classes: case["classes"].as_u64().unwrap() as usize,
    });
    let cases: Vec<Case<T>> = cases.collect();
    assert!(!cases.is_empty());
    cases
}

impl<T> Case<T> {
    pub(crate) fn near(&self, name: &str, found: f64) {
        self.equal(name, Some(found), &self.file[name]);
    }

    /// Both are missing, or they agree to 1e-9.
    pub(crate) fn equal(&self, name: &str, found: Option<f64>, expected: &Value) {
        let same = match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9,
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(same, "case {}, {name}: {found:?}, expected {expected}", self.index);
    }

    /// The resamples that the intervals are of, and the seed that drew them.
    pub(crate) fn resampled(&self) -> (usize, u64) {
        (self.file["resamples"].as_u64().unwrap() as usize, self.file["seed"].as_u64().unwrap())
    }

    /// Both bounds are those of the file.
    pub(crate) fn interval(&self, name: &str, found: Option<Interval>) {
        let expected = &self.file["intervals"][name];
        self.equal(name, found.map(|interval| interval.low), &expected[0]);
        self.equal(name, found.map(|interval| interval.high), &expected[1]);
    }
}

pub(crate) fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

pub(crate) fn singles(list: &Value) -> Vec<f32> {
    numbers(list).iter().map(|number| *number as f32).collect()
}
