//! A dataset at one moment, and what of it is used for what.

use std::collections::HashMap;

use super::rows::FitRows;
use crate::{
    content::ContentHash,
    error::RunError,
    fit::{
        LabelSets, Labels,
        split::{self, Plan},
    },
    names::Tenant,
    store::{Store, datasets::DatasetRow, examples::ExampleRow, views::ViewKey},
};
use graft_proto::v1::{Split, TrainingRun};

/// Examples with their classes numbered and their uses planned.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The classes, sorted by label.
    pub labels: Vec<String>,
    /// The classes of each example, indices into `labels`, sorted: exactly one unless the dataset is multi-label.
    pub(super) truth: Vec<Vec<u32>>,
    /// The uses of the examples.
    pub plan: Plan,
    pub(super) hashes: Vec<ContentHash>,
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
            plan: split::plan(&LabelSets::new(truth.iter().map(Vec::as_slice)).strata(labels.len()), &splits),
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

    /// The images of some examples.
    pub fn hashes_of(&self, indices: &[usize]) -> Vec<ContentHash> {
        indices.iter().map(|index| self.hashes[*index]).collect()
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

    /// What is right for some examples: a class each, or a set of labels each if they are of a `multi_label` dataset.
    pub fn labelled(&self, indices: &[usize], multi_label: bool) -> Labels {
        if multi_label { Labels::Sets(LabelSets::new(self.truth(indices))) } else { Labels::One(self.classes(indices)) }
    }

    /// The classes of some examples, each of which has any number.
    pub fn truth(&self, indices: &[usize]) -> Vec<&[u32]> {
        indices.iter().map(|index| self.truth[*index].as_slice()).collect()
    }

    /// What some examples are called: their ids, or their hashes where the dataset knows no id.
    pub fn ids(&self, indices: &[usize]) -> Vec<&str> {
        indices.iter().map(|index| self.ids[*index].as_str()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::FitOptions;

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
        let sets = Labels::Sets(LabelSets::new(rows.iter().map(|row| match row.labels.len() {
            2 => &[0, 1][..],
            1 if row.labels[0] == "a" => &[0],
            1 => &[1],
            _ => &[],
        })));
        assert_eq!(snapshot.labelled(&all, true), sets);
        let multi_label = DatasetRow { multi_label: true, ..dataset(3) };
        let check = |given: &[(&str, Split)]| {
            Snapshot::new(&examples(given)).check(&multi_label, &FitOptions::default(), 1 << 20)
        };
        let (train, test) = (Split::Train, Split::Test);
        assert_eq!(check(&[("a", train), ("", train), ("a", test)]), Ok(()), "one label can be there or not");
        let same = check(&[("a+b", train), ("a+b", train), ("", test)]).unwrap_err();
        assert!(same.contains("the same labels"), "{same}");
        let none = check(&[("a", train), ("", train), ("b", test)]).unwrap_err();
        assert!(none.contains("`b`") && none.contains("has 0 ") && none.contains("at least 1 "), "{none}");
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
