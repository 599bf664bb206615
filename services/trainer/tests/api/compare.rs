//! Versions of heads beside each other: measured as their reports say, by the names of labels, also when what they were fitted on is
//! not there any more.

use crate::place::{Place, in_both};
use futures::TryStreamExt;
use graft_proto::v1::{
    CompareHeadsResponse, ComparedHead, EvidenceOptions, Gather, Head, Split, TrainingOptions, TrainingRun,
};
use graft_trainer::{
    compare::{Comparer, error::CompareError, gate::Weighed, split::Wanted},
    content::ContentHash,
    names::{HeadRef, Name, Tenant},
    runs::Runs,
    store::{Store, datasets::DatasetRow, examples::ExampleRow, segments::NewExample},
    train::snapshot::identify,
};
use tokio_util::sync::CancellationToken;

in_both!(
    two_versions_are_measured_as_their_reports_say,
    a_version_that_does_not_know_a_class_is_compared_by_name,
    sets_of_labels_are_compared_as_they_are_reported,
    what_cannot_be_compared_is_named,
);

/// Numbers in an embedding.
const DIMENSION: u32 = 8;
/// More than any test needs, in bytes.
const MEMORY: usize = 1 << 30;
/// Labels of the examples, by the position of the number that tells them.
const LABELS: [&str; 4] = ["ant", "bee", "cow", "dog"];

struct Trainer {
    store: Store,
    runs: Runs,
    tenant: Tenant,
}

impl Trainer {
    async fn start(place: &Place) -> Trainer {
        let store = place.open().await;
        let runs = Runs::start(store.clone(), MEMORY, CancellationToken::new()).await.unwrap();
        Trainer { store, runs, tenant: Tenant::default() }
    }

    async fn create(&self, name: &str, space: &str, multi_label: bool) {
        let name = Name::parse("name", name).unwrap();
        assert!(self.store.create_dataset(&self.tenant, &name, "net", space, DIMENSION, multi_label).await.unwrap());
    }

    async fn dataset(&self, name: &str) -> DatasetRow {
        self.store.dataset(&self.tenant, &Name::parse("name", name).unwrap()).await.unwrap().unwrap()
    }

    async fn add(&self, dataset: &str, examples: Vec<NewExample>) {
        let dataset = self.dataset(dataset).await;
        self.store.add(&self.tenant, &dataset, &examples).await.unwrap().unwrap();
    }

    /// Fit the next version of the head `h`.
    async fn train(&self, dataset: &str, l2: f64) -> Head {
        let never = EvidenceOptions { label_errors: Gather::Never as i32, learning_curve: Gather::Never as i32 };
        let options = TrainingOptions { l2: vec![l2], evidence: Some(never), ..Default::default() };
        let row = self.dataset(dataset).await;
        let kept = self.store.examples(row.id).await.unwrap();
        let id = identify(&kept);
        self.store.put_snapshot(&self.tenant, &row, &id, &kept).await.unwrap();
        let run = self.runs.create(&self.tenant, dataset, "h", &id, options).await.unwrap();
        let states: Vec<TrainingRun> =
            self.runs.follow(&self.tenant, &run.id).await.unwrap().try_collect().await.unwrap();
        let version = states.last().unwrap().head_version;
        assert!(version > 0, "{states:?}");
        let wanted = HeadRef::version_of(&Name::parse("head", "h").unwrap(), version);
        self.store.head(&self.tenant, &wanted).await.unwrap().unwrap()
    }

    async fn compare(&self, first: &Head, second: &Head, on: &Head) -> Result<CompareHeadsResponse, CompareError> {
        self.compare_within(first, second, on, MEMORY).await
    }

    async fn compare_within(
        &self,
        first: &Head,
        second: &Head,
        on: &Head,
        most_bytes: usize,
    ) -> Result<CompareHeadsResponse, CompareError> {
        let wanted = Wanted { id: &on.report.as_ref().unwrap().snapshot, datasets: [&on.dataset; 2] };
        Comparer::new(self.store.clone(), most_bytes).compare(&self.tenant, [first, second], wanted, 7).await
    }
}

/// Examples of which number `labels` of each index says the labels; every fourth is held out. Some noise makes them hard to tell
/// apart.
fn examples(indices: std::ops::Range<u32>, labels: impl Fn(u32) -> Vec<usize>) -> Vec<NewExample> {
    let example = |index: u32| {
        let noise = blake3::hash(&index.to_le_bytes());
        let mut numbers: Vec<f32> = noise.as_bytes()[..8].iter().map(|byte| f32::from(*byte) / 128.0).collect();
        labels(index).into_iter().for_each(|label| numbers[label] += 0.9);
        let split = if index % 4 == 3 { Split::Test } else { Split::Train };
        let named = labels(index).into_iter().map(|label| LABELS[label].to_owned()).collect();
        let hash = ContentHash::from_slice(noise.as_bytes()).unwrap();
        let row = ExampleRow { hash, id: index.to_string(), labels: named, split };
        NewExample { row, embedding: Some(numbers), views: Vec::new() }
    };
    indices.map(example).collect()
}

fn agree(found: &ComparedHead, head: &Head) {
    let report = head.report.as_ref().unwrap();
    assert_eq!(found.head, format!("h@{}", head.version));
    assert_eq!((found.accuracy, found.macro_f1), (report.accuracy, report.macro_f1), "{found:?}");
    assert!((found.log_loss - report.log_loss).abs() < 1e-5, "{} {}", found.log_loss, report.log_loss);
    assert_eq!(found.micro_f1, report.multi_label.map(|sets| sets.micro_f1));
    assert_eq!((found.fitted_on, found.unknown_labels.len()), (Some(0), 0));
}

async fn two_versions_are_measured_as_their_reports_say(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.create("d", "net@0", false).await;
    trainer.add("d", examples(0..400, |index| vec![index as usize / 4 % 3])).await;
    let (good, bad) = (trainer.train("d", 0.001).await, trainer.train("d", 1e6).await);
    let found = trainer.compare(&good, &bad, &good).await.unwrap();
    agree(found.first.as_ref().unwrap(), &good);
    agree(found.second.as_ref().unwrap(), &bad);
    assert_eq!((found.test_count, found.dataset.as_str(), found.multi_label), (100, "d", false));
    let [both, one, other, none] =
        [found.both_right, found.only_first_right, found.only_second_right, found.both_wrong];
    assert_eq!(both + one + other + none, 100);
    assert_eq!((both + one) as f64 / 100.0, good.report.as_ref().unwrap().accuracy);
    assert_eq!((both + other) as f64 / 100.0, bad.report.as_ref().unwrap().accuracy);
    assert!(found.p_value < 0.05, "{found:?}");
    for (class, report) in found.classes.iter().zip(&good.report.as_ref().unwrap().classes) {
        assert_eq!((class.first_f1, class.support, &class.label), (Some(report.f1), report.support, &report.label));
    }
    assert!(found.disagreement_count >= one + other && found.disagreements.len() == 7);
    for example in &found.disagreements {
        let index: u32 = example.id.parse().unwrap();
        assert_eq!(example.labels, [LABELS[index as usize / 4 % 3]]);
        let [first, second] = [&example.first, &example.second].map(|answer| answer.as_ref().unwrap());
        assert_ne!(first.labels[0].label, second.labels[0].label);
        assert_eq!(first.right, first.labels[0].label == example.labels[0]);
    }
    let surest = |example: &graft_proto::v1::Disagreement| {
        example.first.as_ref().unwrap().confidence.max(example.second.as_ref().unwrap().confidence)
    };
    assert!(found.disagreements.is_sorted_by(|a, b| surest(a) >= surest(b)));
    let same = trainer.compare(&good, &good, &good).await.unwrap();
    assert_eq!((same.disagreement_count, same.p_value), (0, 1.0));

    // The dataset goes; its snapshots and embeddings stay.
    trainer.store.delete_dataset(&trainer.tenant, &Name::parse("name", "d").unwrap()).await.unwrap();
    let later = trainer.compare(&good, &bad, &good).await.unwrap();
    assert_eq!((&later.first, later.disagreement_count), (&found.first, found.disagreement_count));
    assert!(later.disagreements.iter().all(|example| example.id == example.hash), "ids have gone with the dataset");
}

async fn a_version_that_does_not_know_a_class_is_compared_by_name(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.create("d", "net@0", false).await;
    // Labels in another order than those to come: `bee` is added between the others.
    trainer.add("d", examples(0..400, |index| vec![[0, 2, 3][index as usize / 4 % 3]])).await;
    let old = trainer.train("d", 0.001).await;
    trainer.add("d", examples(400..500, |_| vec![1])).await;
    let new = trainer.train("d", 0.001).await;

    let found = trainer.compare(&old, &new, &new).await.unwrap();
    let first = found.first.as_ref().unwrap();
    agree(found.second.as_ref().unwrap(), &new);
    assert_eq!((&first.unknown_labels[..], first.fitted_on), (&["bee".to_owned()][..], Some(0)));
    let bee = found.classes.iter().find(|class| class.label == "bee").unwrap();
    assert!(bee.support == 25 && bee.first_f1.is_none() && bee.second_f1.is_some_and(|f1| f1 > 0.3), "{bee:?}");
    let rights = old.report.as_ref().unwrap().accuracy * 100.0;
    assert!((first.accuracy - rights / 125.0).abs() < 1e-9, "it is right on what it knows: {first:?}");

    let found = trainer.compare(&old, &new, &old).await.unwrap();
    agree(found.first.as_ref().unwrap(), &old);
    let asked = found.classes.iter().map(|class| class.label.as_str()).collect::<Vec<_>>();
    assert!(
        asked.starts_with(&["ant", "cow", "dog"]),
        "those of the snapshot, then those that were answered: {asked:?}"
    );

    // What was held out is fitted on by the next version.
    trainer.create("other", "net@0", false).await;
    let mut moved = examples(0..400, |index| vec![index as usize / 4 % 3]);
    moved.iter_mut().filter(|example| example.row.split == Split::Test).for_each(|example| {
        example.row.split = Split::Train;
        example.embedding = None;
    });
    trainer.add("other", moved.into_iter().filter(|example| example.embedding.is_none()).collect()).await;
    let other = trainer.train("other", 0.001).await;
    let found = trainer.compare(&new, &other, &old).await.unwrap();
    let fitted = found.second.as_ref().unwrap().fitted_on.unwrap();
    assert!(fitted > 50 && fitted < 100, "{fitted}: of those that were not held out of it in turn");

    let Weighed::Measured(measured) =
        Comparer::new(trainer.store.clone(), MEMORY).weigh(&trainer.tenant, &old, &new).await.unwrap()
    else {
        panic!("they can be measured")
    };
    assert_eq!((measured.test_count, &measured.snapshot), (125, &new.report.as_ref().unwrap().snapshot));
    assert!(measured.worse(0.0).is_empty() && measured.note.contains("h@2"), "{measured:?}");
}

async fn sets_of_labels_are_compared_as_they_are_reported(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.create("d", "net@0", true).await;
    let labels = |index: u32| (0..3).filter(|label| ((index / 4) >> label) & 1 == 1).collect::<Vec<_>>();
    trainer.add("d", examples(0..400, labels)).await;
    let (old, bad) = (trainer.train("d", 0.001).await, trainer.train("d", 3.0).await);
    let found = trainer.compare(&old, &bad, &old).await.unwrap();
    assert!(found.multi_label);
    agree(found.first.as_ref().unwrap(), &old);
    agree(found.second.as_ref().unwrap(), &bad);
    assert!(found.disagreements.iter().all(|example| {
        let [first, second] = [&example.first, &example.second].map(|answer| answer.as_ref().unwrap());
        let names = |answer: &graft_proto::v1::ComparedAnswer| {
            let mut names: Vec<String> = answer.labels.iter().map(|label| label.label.clone()).collect();
            names.sort();
            names
        };
        names(first) != names(second) && first.right == (names(first) == example.labels)
    }));

    let also = |index: u32| if index.is_multiple_of(2) { vec![0, 3] } else { vec![3] };
    trainer.add("d", examples(400..500, also)).await;
    let new = trainer.train("d", 0.001).await;
    let found = trainer.compare(&old, &new, &new).await.unwrap();
    agree(found.second.as_ref().unwrap(), &new);
    assert_eq!(found.first.as_ref().unwrap().unknown_labels, ["dog"]);
    let found = trainer.compare(&old, &new, &old).await.unwrap();
    let first = found.first.as_ref().unwrap();
    assert_eq!(first.accuracy, old.report.as_ref().unwrap().accuracy);
}

async fn what_cannot_be_compared_is_named(place: Place) {
    let trainer = Trainer::start(&place).await;
    let labels = |index: u32| vec![index as usize / 4 % 3];
    trainer.create("d", "net@0", false).await;
    trainer.add("d", examples(0..80, labels)).await;
    let head = trainer.train("d", 0.001).await;
    let refused = |found: Result<CompareHeadsResponse, CompareError>, words: &[&str]| {
        let error = found.unwrap_err();
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        error.is_impossible()
    };

    let foreign = Head { space: "net@1".into(), ..head.clone() };
    assert!(refused(trainer.compare(&head, &foreign, &head).await, &["net@0", "net@1"]));
    assert!(refused(trainer.compare(&foreign, &foreign, &head).await, &["snapshot", "net@0", "net@1"]));
    let mut strange = head.clone();
    strange.report.as_mut().unwrap().snapshot = "0".repeat(64);
    assert!(refused(trainer.compare(&head, &head, &strange).await, &["is not there", "`d`"]));
    let unknown = trainer.compare(&strange, &head, &head).await.unwrap();
    assert_eq!(unknown.first.unwrap().fitted_on, None, "what it was fitted on is not known");

    trainer.create("sets", "net@0", true).await;
    let mut known = examples(0..80, labels);
    known.iter_mut().for_each(|example| example.embedding = None);
    trainer.add("sets", known).await;
    let sets = trainer.train("sets", 0.001).await;
    assert!(refused(trainer.compare(&head, &sets, &sets).await, &["h@1 answers with one label", "sets of labels"]));
    assert!(refused(trainer.compare(&sets, &head, &head).await, &["h@2 answers with sets of labels", "one label"]));

    let within = trainer.compare_within(&head, &head, &head, 1000).await;
    assert!(!refused(within, &["20 test examples", "--training-mib"]), "a trainer with more memory could");
    let gone = Head { version: 9, ..head.clone() };
    assert!(!refused(trainer.compare(&head, &gone, &head).await, &["h@9 was deleted"]));
}
