//! Every figure of an evaluation of sets of labels is that of scikit-learn, scipy or cleanlab, on random predictions
//! (`figures/label_sets.py` made them).

use crate::figures::{Case, numbers, singles};
use graft_trainer::evaluate::{
    calibration::expected_error,
    ranking::RankingFigures,
    sets::{
        bootstrap::{Rows, intervals},
        calibration,
        counts::{Answers, LabelFigures},
        given, label_errors,
        loss::log_losses,
        macro_average, rankings,
    },
};

fn cases() -> Vec<Case<bool>> {
    crate::figures::cases(include_str!("figures/label_sets.json"), "truth", |truth| truth == 1.0)
}

impl Case<bool> {
    fn given(&self) -> Vec<bool> {
        given(&self.probabilities, &singles(&self.file["thresholds"]))
    }

    /// One figure of each label.
    fn column(&self, name: &str, found: impl Iterator<Item = Option<f64>>) {
        let (found, expected) = (found.collect::<Vec<_>>(), self.file[name].as_array().unwrap());
        assert_eq!((found.len(), expected.len()), (self.classes, self.classes), "{name}");
        found.into_iter().zip(expected).for_each(|(found, expected)| self.equal(name, found, expected));
    }
}

#[test]
fn counts_are_those_of_scikit_learn() {
    for case in cases() {
        let answers = Answers::new(&case.given(), &case.truth, case.classes);
        let counts = answers.count(|_| 1);
        case.near("exact", counts.exact());
        case.near("hamming_loss", counts.hamming_loss());
        case.near("micro_precision", counts.micro_precision());
        case.near("micro_recall", counts.micro_recall());
        case.near("micro_f1", counts.micro_f1());
        case.near("macro_precision", counts.macro_precision());
        case.near("macro_recall", counts.macro_recall());
        case.near("macro_f1", counts.macro_f1());
        case.near("cardinality", counts.cardinality());
        case.near("majority", answers.majority_share());
        case.column("precision", counts.labels().map(|label| Some(label.precision)));
        case.column("recall", counts.labels().map(|label| Some(label.recall)));
        case.column("f1", counts.labels().map(|label| Some(label.f1)));
        for (label, expected) in counts.labels().zip(case.file["tables"].as_array().unwrap()) {
            let LabelFigures { true_positives, false_positives, false_negatives, true_negatives, .. } = label;
            let table = [true_negatives, false_positives, false_negatives, true_positives].map(|count| count as f64);
            assert_eq!(table.to_vec(), numbers(expected), "case {}", case.index);
        }
    }
}

#[test]
fn losses_rankings_and_calibration_are_those_of_scikit_learn_and_scipy() {
    for case in cases() {
        let losses = log_losses(&case.probabilities, &case.truth, case.classes);
        case.near("log_loss", losses.iter().sum::<f64>() / losses.len() as f64);
        let labels = rankings(&case.probabilities, &case.truth, case.classes);
        let of = |figure: fn(RankingFigures) -> f64| labels.iter().map(move |label| label.map(figure));
        case.column("label_roc_auc", of(|figures| figures.roc_auc));
        case.column("label_average_precision", of(|figures| figures.average_precision));
        let whole = macro_average(&labels);
        case.equal("roc_auc", whole.map(|w| w.roc_auc), &case.file["roc_auc"]);
        case.equal("average_precision", whole.map(|w| w.average_precision), &case.file["average_precision"]);
        let bins = calibration::reliability(case.probabilities.iter().zip(&case.truth));
        case.near("calibration_error", expected_error(&bins));
        let temperature = calibration::temperature(&singles(&case.file["logits"]), &case.truth, case.classes);
        case.equal("temperature", temperature, &case.file["temperature"]);
    }
}

#[test]
fn intervals_are_those_of_scikit_learn_over_the_same_resamples() {
    for case in cases() {
        let answers = Answers::new(&case.given(), &case.truth, case.classes);
        let log_losses = log_losses(&case.probabilities, &case.truth, case.classes);
        let rows = Rows {
            probabilities: &case.probabilities,
            truth: &case.truth,
            answers: &answers,
            log_losses: &log_losses,
            classes: case.classes,
        };
        let (resamples, seed) = case.resampled();
        let found = intervals(&rows, resamples, seed).unwrap();
        if case.file["intervals"].is_null() {
            continue;
        }
        case.interval("exact", Some(found.exact));
        case.interval("macro_f1", Some(found.macro_f1));
        case.interval("micro_f1", Some(found.micro_f1));
        case.interval("hamming_loss", Some(found.hamming_loss));
        case.interval("log_loss", Some(found.log_loss));
        case.interval("roc_auc", found.roc_auc);
        case.interval("average_precision", found.average_precision);
    }
}

#[test]
fn label_errors_are_those_of_cleanlab_in_its_order() {
    let mut compared = 0;
    for case in cases() {
        let found = label_errors::find(&case.probabilities, &case.truth, case.classes);
        // A label that all rows have, or none, has no threshold for the other answer.
        let pairs: Vec<Vec<u64>> = found.iter().map(|error| vec![error.row as u64, u64::from(error.label)]).collect();
        let expected: Vec<Vec<u64>> = serde_json::from_value(case.file["label_errors"].clone()).unwrap();
        assert_eq!(pairs, expected, "case {}", case.index);
        compared += pairs.len();
    }
    assert!(compared > 10, "{compared} label errors were compared");
}
