//! Every figure of an evaluation is scikit-learn's, on random predictions (`figures/metrics.py` made them).

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use graft_trainer::evaluate::{ClassEvaluation, evaluate};
use serde_json::Value;

/// One figure of a class.
type Column = fn(&ClassEvaluation) -> f64;

#[test]
fn the_figures_are_those_of_scikit_learn() {
    let file: Value = serde_json::from_str(include_str!("figures/metrics.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for (index, case) in cases.iter().enumerate() {
        check(index, case);
    }
}

fn check(index: usize, case: &Value) {
    let probabilities: Vec<f32> = numbers(&case["probabilities"]).iter().map(|p| *p as f32).collect();
    let labels: Vec<u32> = numbers(&case["labels"]).iter().map(|class| *class as u32).collect();
    let classes = case["classes"].as_u64().unwrap() as usize;
    let found = evaluate(&probabilities, &labels, classes);

    let near = |name: &str, found: f64, expected: f64| {
        assert!((found - expected).abs() <= 1e-9, "case {index}, {name}: {found}, scikit-learn has {expected}");
    };
    near("accuracy", found.accuracy, case["accuracy"].as_f64().unwrap());
    near("macro F1", found.macro_f1, case["macro_f1"].as_f64().unwrap());
    near("log loss", found.log_loss, case["log_loss"].as_f64().unwrap());
    let columns: [(&str, Column); 4] = [
        ("precision", |class| class.precision),
        ("recall", |class| class.recall),
        ("f1", |class| class.f1),
        ("support", |class| class.support as f64),
    ];
    for (name, of) in columns {
        let expected = numbers(&case[name]);
        assert_eq!(found.classes.len(), expected.len());
        found.classes.iter().zip(expected).for_each(|(class, expected)| near(name, of(class), expected));
    }
    let confusion: Vec<f64> = found.confusion.iter().map(|count| *count as f64).collect();
    assert_eq!(confusion, numbers(&case["confusion"]), "case {index}");
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}
