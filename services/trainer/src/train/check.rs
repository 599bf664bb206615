//! Whether a head can be fitted on a snapshot; if not, why, and what to do.

use std::collections::BTreeMap;

use super::{rows::FitRows, snapshot::Snapshot};
use crate::{
    fit::{FitOptions, data::MAX_PARAMETERS},
    names::MOST_LABELS,
    store::datasets::DatasetRow,
};

/// Examples that a class needs, the test split left out; a label of a multi-label dataset needs one, for it is fitted against all
/// examples that do not have it.
const LEAST_EXAMPLES: usize = 2;

impl Snapshot {
    /// Whether a head can be fitted; if not, why, and what to do. `most_bytes` of embeddings may be held in memory.
    pub fn check(&self, dataset: &DatasetRow, options: &FitOptions, most_bytes: usize) -> Result<(), String> {
        let (name, classes) = (&dataset.name, self.labels.len());
        if self.hashes.is_empty() {
            return Err(format!("`{name}` holds no example; import some first"));
        }
        if let [only] = &self.labels[..]
            && !dataset.multi_label
        {
            return Err(format!(
                "`{name}` has one class, `{only}`; a classifier needs two or more: import examples of another"
            ));
        }
        let dimension = dataset.dimension as usize;
        let most_classes = MOST_LABELS.min(MAX_PARAMETERS / (dimension + 1));
        if classes > most_classes {
            return Err(format!(
                "`{name}` has {classes} classes; at most {most_classes} are accepted with embeddings of {dimension} numbers"
            ));
        }
        let bytes = FitRows::count(&self.plan, dataset.views()).saturating_mul(dimension * size_of::<f32>());
        if bytes > most_bytes {
            return Err(format!(
                "the embeddings of `{name}` take {} MiB; {} MiB are accepted: raise --training-mib, or train on fewer",
                bytes.div_ceil(1 << 20),
                most_bytes >> 20
            ));
        }
        self.check_classes(name, if dataset.multi_label { 1 } else { LEAST_EXAMPLES })?;
        if dataset.multi_label {
            self.check_sets(name)?;
        }
        if self.plan.validation.is_empty() && options.l2.len() > 1 {
            return Err(format!(
                "`{name}` has too few examples to choose among {} values of L2: import more, or name one value",
                options.l2.len()
            ));
        }
        Ok(())
    }

    /// Some label must be on some of the examples to fit on, and not on others.
    fn check_sets(&self, name: &str) -> Result<(), String> {
        let rows = [&self.plan.train[..], &self.plan.validation].concat();
        let counts = self.labelled(&rows, true).truth().counts(self.labels.len());
        if counts.iter().all(|count| *count == 0 || *count == rows.len()) {
            return Err(format!(
                "every example of `{name}` to fit on has the same labels, so there is nothing to tell apart: import examples \
                 with others, or without any"
            ));
        }
        Ok(())
    }

    /// Each class needs `least` examples beside the test split, and something must be there to fit on.
    fn check_classes(&self, name: &str, least: usize) -> Result<(), String> {
        let mut counts: BTreeMap<u32, usize> = (0..self.labels.len() as u32).map(|class| (class, 0)).collect();
        for index in self.plan.train.iter().chain(&self.plan.validation) {
            for class in &self.truth[*index] {
                *counts.entry(*class).or_default() += 1;
            }
        }
        if let Some((class, count)) = counts.iter().find(|(_, count)| **count < least) {
            let label = &self.labels[*class as usize];
            return Err(format!(
                "class `{label}` of `{name}` has {count} examples to fit on; at least {least} are needed beside the \
                 test split: import more, or leave the class out"
            ));
        }
        if self.plan.train.is_empty() {
            return Err(format!("`{name}` has no example in the train split; import some with SPLIT_TRAIN"));
        }
        Ok(())
    }
}
