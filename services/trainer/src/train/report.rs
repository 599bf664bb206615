//! The evidence that a head is accepted on.

use graft_proto::v1::{ClassReport, L2Trial, Report};

use super::snapshot::Snapshot;
use crate::{
    evaluate::{ClassEvaluation, evaluate},
    fit::{self, FittedHead},
};

/// How a head did: `probabilities`, `[rows, classes]`, against the classes in `truth`.
pub fn report(snapshot: &Snapshot, fitted: &FittedHead, probabilities: &[f32], truth: &[u32]) -> Report {
    let found = evaluate(probabilities, truth, snapshot.labels.len());
    let class = |(label, class): (&String, &ClassEvaluation)| ClassReport {
        label: label.clone(),
        precision: class.precision,
        recall: class.recall,
        f1: class.f1,
        support: class.support,
    };
    let trial = |trial: &fit::L2Trial| L2Trial { l2: trial.l2, log_loss: trial.log_loss, accuracy: trial.accuracy };
    Report {
        accuracy: found.accuracy,
        macro_f1: found.macro_f1,
        log_loss: found.log_loss,
        classes: snapshot.labels.iter().zip(&found.classes).map(class).collect(),
        confusion: found.confusion,
        l2: fitted.l2,
        l2_trials: fitted.trials.iter().map(trial).collect(),
        train_count: (snapshot.plan.train.len() + snapshot.plan.validation.len()) as u64,
        validation_count: snapshot.plan.validation.len() as u64,
        test_count: truth.len() as u64,
        iterations: fitted.iterations,
        converged: fitted.converged,
        snapshot: snapshot.id.clone(),
    }
}
