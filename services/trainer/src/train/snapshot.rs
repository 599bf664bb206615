//! A dataset at one moment: whether a head can be fitted on it, and what of it is used for what.

use std::collections::{BTreeMap, HashMap};

use super::rows::FitRows;
use crate::{
    content::ContentHash,
    error::RunError,
    fit::{
        FitOptions,
        data::MAX_PARAMETERS,
        split::{self, Plan},
    },
    names::{MOST_LABELS, Tenant},
    store::{Store, datasets::DatasetRow, examples::ExampleRow, views::ViewKey},
};
use graft_proto::v1::{Split, TrainingRun};

/// Examples that a class needs, the test split left out.
const LEAST_EXAMPLES: usize = 2;

/// Examples with their classes numbered and their uses planned.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The classes, sorted by label.
    pub labels: Vec<String>,
    /// The classes of each example, indices into `labels`, sorted: exactly one unless the dataset is multi-label.
    truth: Vec<Vec<u32>>,
    /// The uses of the examples.
    pub plan: Plan,
    hashes: Vec<ContentHash>,
    ids: Vec<String>,
    /// BLAKE3 over the examples, labels and splits, in hexadecimal.
    pub id: String,
}

/// What a person and a program know an example by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleName {
    /// The id that it was imported with; empty where that is not kept.
    pub id: String,
    /// The hash of its content, in hexadecimal.
    pub hash: String,
}

impl Snapshot {
    /// The snapshot that a run names; the dataset as it is now, if the run is of a time when runs named none.
    pub async fn of_run(
        store: &Store,
        tenant: &Tenant,
        dataset: &DatasetRow,
        run: &TrainingRun,
    ) -> Result<Snapshot, RunError> {
        if run.snapshot.is_empty() {
            return Ok(Snapshot::new(&store.examples(dataset.id).await?));
        }
        let gone =
            || RunError::Dataset(format!("snapshot `{}` of `{}` is not there any more", run.snapshot, dataset.name));
        Ok(Snapshot::new(&store.snapshot_examples(tenant, dataset, &run.snapshot).await?.ok_or_else(gone)?))
    }

    /// Number and plan `examples`, which must be in the order of their hashes.
    pub fn new(examples: &[ExampleRow]) -> Snapshot {
        let mut labels: Vec<String> = examples.iter().flat_map(|example| &example.labels).cloned().collect();
        labels.sort();
        labels.dedup();
        let index: HashMap<&str, u32> =
            labels.iter().enumerate().map(|(i, label)| (label.as_str(), i as u32)).collect();
        let number = |label: &String| index.get(label.as_str()).copied().unwrap_or(0);
        let truth: Vec<Vec<u32>> = examples.iter().map(|e| e.labels.iter().map(number).collect()).collect();
        let splits: Vec<Split> = examples.iter().map(|example| example.split).collect();
        Snapshot {
            plan: split::plan(&strata(&truth, labels.len()), &splits),
            hashes: examples.iter().map(|example| example.hash).collect(),
            ids: examples.iter().map(name).collect(),
            id: identify(examples),
            labels,
            truth,
        }
    }

    /// The images of all examples: those to fit on, then those to choose the L2 on, then those to measure on.
    pub fn hashes(&self) -> Vec<ContentHash> {
        let Plan { train, validation, test } = &self.plan;
        [&train[..], validation, test].concat().into_iter().map(|index| self.hashes[index]).collect()
    }

    /// The images and views of `rows`, then the images to measure on.
    pub fn keys(&self, rows: &FitRows) -> Vec<ViewKey> {
        let key = |(index, view): (usize, u32)| ViewKey { hash: self.hashes[index], view };
        rows.rows.iter().copied().chain(self.plan.test.iter().map(|index| (*index, 0))).map(key).collect()
    }

    /// What an example is called.
    pub fn name(&self, index: usize) -> ExampleName {
        ExampleName {
            id: self.ids[index].clone(),
            hash: blake3::Hash::from_bytes(*self.hashes[index].as_bytes()).to_hex().to_string(),
        }
    }

    /// The classes of some examples, each of which has one.
    pub fn classes(&self, indices: &[usize]) -> Vec<u32> {
        indices.iter().map(|index| self.truth[*index].first().copied().unwrap_or(0)).collect()
    }

    /// The classes of some examples, each of which has any number.
    pub fn truth(&self, indices: &[usize]) -> Vec<&[u32]> {
        indices.iter().map(|index| self.truth[*index].as_slice()).collect()
    }

    /// What some examples are called: their ids, or their hashes where the dataset knows no id.
    pub fn ids(&self, indices: &[usize]) -> Vec<&str> {
        indices.iter().map(|index| self.ids[*index].as_str()).collect()
    }

    /// Whether a head can be fitted; if not, why, and what to do. `most_bytes` of embeddings may be held in memory.
    pub fn check(&self, dataset: &DatasetRow, options: &FitOptions, most_bytes: usize) -> Result<(), String> {
        let (name, classes) = (&dataset.name, self.labels.len());
        if self.hashes.is_empty() {
            return Err(format!("`{name}` holds no example; import some first"));
        }
        if let [only] = &self.labels[..] {
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
        if dataset.multi_label {
            return Err(format!("`{name}` is multi-label; heads with several labels an image are not fitted yet"));
        }
        self.check_classes(name)?;
        if self.plan.validation.is_empty() && options.l2.len() > 1 {
            return Err(format!(
                "`{name}` has too few examples to choose among {} values of L2: import more, or name one value",
                options.l2.len()
            ));
        }
        Ok(())
    }

    /// Each class needs examples beside the test split, and something must be there to fit on.
    fn check_classes(&self, name: &str) -> Result<(), String> {
        let mut counts: BTreeMap<u32, usize> = (0..self.labels.len() as u32).map(|class| (class, 0)).collect();
        for index in self.plan.train.iter().chain(&self.plan.validation) {
            for class in &self.truth[*index] {
                *counts.entry(*class).or_default() += 1;
            }
        }
        if let Some((class, count)) = counts.iter().find(|(_, count)| **count < LEAST_EXAMPLES) {
            let label = &self.labels[*class as usize];
            return Err(format!(
                "class `{label}` of `{name}` has {count} examples to fit on; at least {LEAST_EXAMPLES} are needed beside the \
                 test split: import more, or leave the class out"
            ));
        }
        if self.plan.train.is_empty() {
            return Err(format!("`{name}` has no example in the train split; import some with SPLIT_TRAIN"));
        }
        Ok(())
    }
}

/// BLAKE3 over the hashes, splits and labels of examples, which must be in the order of their hashes, in hexadecimal.
pub fn identify(examples: &[ExampleRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for example in examples {
        let count = example.labels.len();
        // One label needs no count; the highest bit says that there is one.
        let counted = if count == 1 { 0 } else { 0x80 };
        hasher.update(example.hash.as_bytes()).update(&[example.split as u8 | counted]);
        if count != 1 {
            hasher.update(&(count as u64).to_le_bytes());
        }
        for label in &example.labels {
            hasher.update(&(label.len() as u64).to_le_bytes()).update(label.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// What an example is called.
fn name(example: &ExampleRow) -> String {
    if example.id.is_empty() { example.hash.to_hex() } else { example.id.clone() }
}

/// The class of each example that its split is balanced by: the rarest of its classes; those without one are a class of
/// their own.
fn strata(truth: &[Vec<u32>], classes: usize) -> Vec<u32> {
    let mut counts = vec![0usize; classes];
    truth.iter().flatten().for_each(|class| counts[*class as usize] += 1);
    let rarest = |of: &Vec<u32>| of.iter().copied().min_by_key(|class| (counts[*class as usize], *class));
    truth.iter().map(|of| rarest(of).unwrap_or(classes as u32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a+b` are two labels.
    fn labels(text: &str) -> Vec<String> {
        text.split('+').filter(|label| !label.is_empty()).map(str::to_owned).collect()
    }

    fn examples(given: &[(&str, Split)]) -> Vec<ExampleRow> {
        let mut rows: Vec<ExampleRow> = given
            .iter()
            .enumerate()
            .map(|(index, (label, split))| {
                let hash = ContentHash::from_slice(blake3::hash(&[index as u8]).as_bytes()).unwrap();
                ExampleRow { hash, id: format!("{index}"), labels: labels(label), split: *split }
            })
            .collect();
        rows.sort_by_key(|row| row.hash);
        rows
    }

    fn dataset(dimension: u32) -> DatasetRow {
        let (backbone, space) = ("net".into(), "net@0".into());
        let (name, augmentation) = ("pets".into(), None);
        DatasetRow { id: 1, name, backbone, space, dimension, create_time: 0, multi_label: false, augmentation }
    }

    fn refused(given: &[(&str, Split)], words: &[&str]) {
        let refused = Snapshot::new(&examples(given)).check(&dataset(3), &FitOptions::default(), 1 << 20).unwrap_err();
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        use Split::{Test, Train, Validation};
        refused(&[], &["pets", "no example"]);
        refused(&[("cat", Train); 4], &["one class", "`cat`"]);
        refused(&[("cat", Train), ("cat", Train), ("dog", Train)], &["`dog`", "has 1 "]);
        refused(&[("cat", Train), ("cat", Train), ("dog", Test), ("dog", Test)], &["`dog`", "has 0 "]);
        let only_validation = [("cat", Validation), ("cat", Validation), ("dog", Validation), ("dog", Validation)];
        refused(&only_validation, &["SPLIT_TRAIN"]);
    }

    #[test]
    fn the_limits_are_those_of_the_fit() {
        let rows =
            examples(&[("cat", Split::Train), ("cat", Split::Train), ("dog", Split::Train), ("dog", Split::Train)]);
        let snapshot = Snapshot::new(&rows);
        let one = FitOptions { l2: vec![0.1], ..FitOptions::default() };
        assert_eq!(snapshot.check(&dataset(3), &one, 1 << 20), Ok(()));
        let two = FitOptions { l2: vec![0.1, 1.0], ..FitOptions::default() };
        assert!(snapshot.check(&dataset(3), &two, 1 << 20).unwrap_err().contains("2 values of L2"));
        assert!(snapshot.check(&dataset(3), &one, 47).unwrap_err().contains("--training-mib"));
        let views = |views| DatasetRow {
            augmentation: Some(graft_proto::v1::Augmentation { views, ..Default::default() }),
            ..dataset(3)
        };
        // Four examples of twelve bytes, none of which is held out: a class of two gives none away.
        assert_eq!(snapshot.check(&views(2), &one, 144), Ok(()));
        assert!(snapshot.check(&views(2), &one, 143).unwrap_err().contains("--training-mib"), "views are counted");
        assert!(snapshot.check(&dataset(u32::MAX), &one, usize::MAX).unwrap_err().contains("classes"));
    }

    #[test]
    fn the_id_depends_on_every_label_and_split() {
        let id = |given: &[(&str, Split)]| Snapshot::new(&examples(given)).id;
        let plain = id(&[("a", Split::Train), ("bc", Split::Test)]);
        assert_eq!(plain, id(&[("a", Split::Train), ("bc", Split::Test)]));
        assert_ne!(plain, id(&[("a", Split::Train), ("bc", Split::Train)]));
        assert_ne!(plain, id(&[("ab", Split::Train), ("c", Split::Test)]));
    }

    #[test]
    fn several_labels_are_a_set_and_none_are_one_too() {
        let rows = examples(&[("a+b", Split::Train), ("", Split::Train), ("b", Split::Test), ("a", Split::Train)]);
        let snapshot = Snapshot::new(&rows);
        assert_eq!(snapshot.labels, ["a", "b"]);
        let all: Vec<usize> = (0..4).collect();
        for ((id, truth), row) in snapshot.ids(&all).iter().zip(snapshot.truth(&all)).zip(&rows) {
            let named: Vec<&String> = truth.iter().map(|class| &snapshot.labels[*class as usize]).collect();
            assert!(**id == row.id && named.into_iter().eq(&row.labels));
        }
        let multi_label = DatasetRow { multi_label: true, ..dataset(3) };
        assert!(snapshot.check(&multi_label, &FitOptions::default(), 1 << 20).unwrap_err().contains("multi-label"));
        let id = |given| Snapshot::new(&examples(given)).id;
        assert_ne!(id(&[("a+b", Split::Train)]), id(&[("ab", Split::Train)]));
        assert_ne!(id(&[("", Split::Train)]), id(&[("a", Split::Train)]));
    }

    #[test]
    fn images_and_classes_keep_the_order_of_their_uses() {
        let snapshot = Snapshot::new(&examples(&[("a", Split::Test), ("b", Split::Train), ("c", Split::Validation)]));
        let Plan { train, validation, test } = &snapshot.plan;
        let order = [&train[..], validation, test].concat();
        assert_eq!(snapshot.hashes(), order.iter().map(|index| snapshot.hashes[*index]).collect::<Vec<_>>());
        let labels: Vec<&str> =
            snapshot.classes(&order).iter().map(|c| snapshot.labels[*c as usize].as_str()).collect();
        assert_eq!(labels, ["b", "c", "a"]);
    }
}
