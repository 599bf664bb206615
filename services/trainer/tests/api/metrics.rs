//! Every figure of an evaluation is that of scikit-learn, scipy or cleanlab, on random predictions (`figures/metrics.py`
//! made them).

use crate::figures::{Case, numbers, singles};
use graft_trainer::evaluate::{
    bootstrap::{Rows, intervals},
    calibration,
    counts::{ClassCounts, Counts, confusion},
    label_errors,
    loss::{log_loss, log_losses, top_k},
    predictions,
    ranking::{RankingFigures, macro_average, multi_label, one_vs_rest},
    unknown,
};
use serde_json::Value;

/// One figure of a class.
type Column = fn(&ClassCounts) -> f64;

fn cases() -> Vec<Case<u32>> {
    crate::figures::cases(include_str!("figures/metrics.json"), "labels", |class| class as u32)
}

#[test]
fn counts_are_those_of_scikit_learn() {
    for case in cases() {
        let predicted = predictions(&case.probabilities, case.classes);
        let counts = Counts::new(&predicted, &case.truth, case.classes);
        case.near("accuracy", counts.accuracy());
        case.near("balanced_accuracy", counts.balanced_accuracy());
        case.near("macro_precision", counts.macro_precision());
        case.near("macro_recall", counts.macro_recall());
        case.near("macro_f1", counts.macro_f1());
        let columns: [(&str, Column); 4] = [
            ("precision", |class| class.precision),
            ("recall", |class| class.recall),
            ("f1", |class| class.f1),
            ("support", |class| class.support as f64),
        ];
        for (name, of) in columns {
            let expected = case.file[name].as_array().unwrap();
            assert_eq!(counts.classes().count(), expected.len());
            counts.classes().zip(expected).for_each(|(class, expected)| case.equal(name, Some(of(&class)), expected));
        }
        let found: Vec<f64> =
            confusion(&predicted, &case.truth, case.classes).iter().map(|count| *count as f64).collect();
        assert_eq!(found, numbers(&case.file["confusion"]), "case {}", case.index);
    }
}

#[test]
fn losses_and_rankings_are_those_of_scikit_learn() {
    for case in cases() {
        case.near("log_loss", log_loss(&case.probabilities, &case.truth, case.classes));
        case.near("top_2", top_k(&case.probabilities, &case.truth, case.classes, 2));
        let classes = one_vs_rest(&case.probabilities, &case.truth, case.classes);
        check_ranking(&case, &classes, &case.file);
        let whole = macro_average(&classes);
        case.equal("macro ROC AUC", whole.map(|w| w.roc_auc), &case.file["macro_roc_auc"]);
        case.equal("macro AP", whole.map(|w| w.average_precision), &case.file["macro_average_precision"]);
    }
}

#[test]
fn rankings_of_several_labels_an_example_are_those_of_scikit_learn() {
    let file: Value = serde_json::from_str(include_str!("figures/metrics.json")).unwrap();
    let expected = &file["multi_label"];
    let truth: Vec<bool> = numbers(&expected["truth"]).iter().map(|truth| *truth == 1.0).collect();
    let classes = expected["classes"].as_u64().unwrap() as usize;
    let found = multi_label(&singles(&expected["scores"]), &truth, classes);
    check_ranking(&cases()[0], &found, expected);
}

fn check_ranking(case: &Case<u32>, found: &[Option<RankingFigures>], expected: &Value) {
    for (name, of) in [
        ("roc_auc", (|figures| figures.roc_auc) as fn(RankingFigures) -> f64),
        ("average_precision", |figures| figures.average_precision),
    ] {
        let expected = expected[name].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).for_each(|(found, expected)| case.equal(name, found.map(of), expected));
    }
}

#[test]
fn calibration_is_that_of_scikit_learn_and_scipy() {
    for case in cases() {
        let bins = calibration::reliability(&case.probabilities, &case.truth, case.classes);
        case.near("calibration_error", calibration::expected_error(&bins));
        let temperature = calibration::temperature(&singles(&case.file["logits"]), &case.truth, case.classes);
        case.equal("temperature", temperature, &case.file["temperature"]);
        let expected = &case.file["unknown"];
        let threshold = unknown::threshold(&case.probabilities, &case.truth, case.classes);
        case.equal("threshold", threshold.map(f64::from), &expected["threshold"]);
        let Some(threshold) = threshold else { continue };
        let found = unknown::measure(&case.probabilities, &case.truth, case.classes, threshold);
        case.equal("coverage", Some(found.coverage), &expected["coverage"]);
        case.equal("accuracy above", Some(found.accuracy), &expected["accuracy"]);
        case.equal("wrong rejected", Some(found.wrong_rejected), &expected["wrong_rejected"]);
        case.equal("right rejected", Some(found.right_rejected), &expected["right_rejected"]);
    }
}

#[test]
fn intervals_are_those_of_scikit_learn_over_the_same_resamples() {
    for case in cases() {
        let predicted = predictions(&case.probabilities, case.classes);
        let log_losses = log_losses(&case.probabilities, &case.truth, case.classes);
        let rows = Rows {
            probabilities: &case.probabilities,
            predicted: &predicted,
            log_losses: &log_losses,
            truth: &case.truth,
            classes: case.classes,
        };
        let (resamples, seed) = case.resampled();
        let found = intervals(&rows, resamples, seed).unwrap();
        case.interval("accuracy", Some(found.accuracy));
        case.interval("balanced_accuracy", Some(found.balanced_accuracy));
        case.interval("macro_f1", Some(found.macro_f1));
        case.interval("log_loss", Some(found.log_loss));
        case.interval("roc_auc", found.roc_auc);
        case.interval("average_precision", found.average_precision);
    }
}

#[test]
fn label_errors_are_those_of_cleanlab_in_its_order() {
    let mut compared = 0;
    for case in cases() {
        let Some(expected) = case.file["label_errors"].as_array() else { continue };
        let found = label_errors::find(&case.probabilities, &case.truth, case.classes);
        let rows: Vec<u64> = found.iter().map(|error| error.row as u64).collect();
        assert_eq!(rows, expected.iter().map(|row| row.as_u64().unwrap()).collect::<Vec<_>>(), "case {}", case.index);
        compared += rows.len();
    }
    assert!(compared > 10, "{compared} label errors were compared");
}
