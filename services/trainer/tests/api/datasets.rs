//! Datasets that grow and change: relabelled, removed, imported again, kept as snapshots; with a scripted extractor.

use std::collections::{BTreeMap, HashMap};

use crate::peer::{Trainer, example};
use crate::place::{Place, in_both};
use graft_proto::v1::{
    CreateSnapshotRequest, Example, ExampleKey, GetDatasetStatsRequest, GetSnapshotRequest, ListExamplesRequest,
    ListSnapshotsRequest, Outcome, RelabelExamplesRequest, Relabelling, RemoveExamplesRequest, Split, StoredExample,
    example_key,
};
use graft_trainer::names::Tenant;
use proptest::prelude::*;
use tonic::Code;

in_both!(
    examples_are_listed_relabelled_and_removed,
    duplicates_and_conflicts_are_listed_until_they_are_settled,
    a_multi_label_dataset_holds_sets,
    a_snapshot_stays_as_it_is_while_the_dataset_changes,
);

fn by_id(id: &str) -> ExampleKey {
    ExampleKey { key: Some(example_key::Key::Id(id.into())) }
}

fn by_hash(hash: &str) -> ExampleKey {
    ExampleKey { key: Some(example_key::Key::Hash(hash.into())) }
}

/// Every example that passes, page by page.
async fn list(trainer: &Trainer, mut request: ListExamplesRequest) -> Vec<StoredExample> {
    request.dataset = "d".into();
    let mut all = Vec::new();
    loop {
        let page = trainer.client().list_examples(request.clone()).await.unwrap().into_inner();
        all.extend(page.examples);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

async fn relabel(trainer: &Trainer, entries: &[(ExampleKey, &[&str])]) -> Vec<Result<u32, Code>> {
    let entries = entries.iter().map(|(key, labels)| Relabelling {
        example: Some(key.clone()),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    });
    let request = RelabelExamplesRequest { dataset: "d".into(), relabellings: entries.collect() };
    let outcomes = trainer.client().relabel_examples(request).await.unwrap().into_inner().outcomes;
    outcomes.into_iter().map(|o| o.error.map_or(Ok(o.examples), |error| Err(Code::from_i32(error.code)))).collect()
}

async fn remove(trainer: &Trainer, examples: Vec<ExampleKey>) -> Vec<Result<u32, Code>> {
    let request = RemoveExamplesRequest { dataset: "d".into(), examples };
    let outcomes = trainer.client().remove_examples(request).await.unwrap().into_inner().outcomes;
    outcomes.into_iter().map(|o| o.error.map_or(Ok(o.examples), |error| Err(Code::from_i32(error.code)))).collect()
}

async fn examples_are_listed_relabelled_and_removed(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let all: Vec<_> = (0..250).map(|index| example(index, if index % 2 == 0 { "even" } else { "odd" })).collect();
    trainer.import("d", &all, 50).await.1.unwrap();

    let listed = list(&trainer, ListExamplesRequest { page_size: 60, ..Default::default() }).await;
    assert_eq!(listed.len(), 250);
    assert!(listed.is_sorted_by(|a, b| a.hash < b.hash), "each once, in the order of the hashes");
    let odd = list(&trainer, ListExamplesRequest { label: "odd".into(), page_size: 7, ..Default::default() }).await;
    assert!(odd.len() == 125 && odd.iter().all(|e| e.labels == ["odd"] && e.id.parse::<u32>().unwrap() % 2 == 1));
    let test = ListExamplesRequest { split: Split::Test as i32, label: "odd".into(), ..Default::default() };
    let test = list(&trainer, test).await;
    assert!((14..=24).contains(&test.len()), "about 15% of the class: {}", test.len());

    let before = trainer.store.examples(dataset.id).await.unwrap();
    let done = relabel(
        &trainer,
        &[
            (by_id("3"), &["prime"]),
            (by_hash(&odd[0].hash), &["prime"]),
            (by_id("nobody"), &["prime"]),
            (by_hash("zz"), &["prime"]),
            (by_id("5"), &[]),
            (by_id("5"), &["a", "b"]),
        ],
    )
    .await;
    assert_eq!(done[..2], [Ok(1), Ok(1)]);
    let refused = [Code::NotFound, Code::InvalidArgument, Code::InvalidArgument, Code::InvalidArgument];
    assert_eq!(done[2..], refused.map(Err));
    let prime = list(&trainer, ListExamplesRequest { label: "prime".into(), ..Default::default() }).await;
    assert_eq!(prime.len(), if odd[0].id == "3" { 1 } else { 2 });
    let after = trainer.store.examples(dataset.id).await.unwrap();
    assert!(before.iter().zip(&after).all(|(a, b)| a.hash == b.hash && a.split == b.split), "splits stay");

    assert_eq!(remove(&trainer, vec![by_id("7"), by_id("7"), by_hash(&"0".repeat(64))]).await[1], Err(Code::NotFound));
    assert_eq!(trainer.store.examples(dataset.id).await.unwrap().len(), 249);
    let embedded = trainer.peer.embedded.load(std::sync::atomic::Ordering::SeqCst);
    trainer.import("d", &all, 50).await.1.unwrap();
    assert_eq!(trainer.peer.embedded.load(std::sync::atomic::Ordering::SeqCst), embedded, "it is not embedded again");
    let again = trainer.store.examples(dataset.id).await.unwrap();
    assert!(before.iter().zip(&again).all(|(a, b)| a.hash == b.hash && a.split == b.split), "it is back in its split");

    let many = RemoveExamplesRequest { dataset: "d".into(), examples: vec![by_id("1"); 1001] };
    assert_eq!(trainer.client().remove_examples(many).await.unwrap_err().code(), Code::InvalidArgument);
    let nowhere = ListExamplesRequest { dataset: "e".into(), ..Default::default() };
    assert_eq!(trainer.client().list_examples(nowhere).await.unwrap_err().code(), Code::NotFound);
    let token = ListExamplesRequest { dataset: "d".into(), page_token: "abc".into(), ..Default::default() };
    assert_eq!(trainer.client().list_examples(token).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn duplicates_and_conflicts_are_listed_until_they_are_settled(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let named = |index, id: &str, label: &str| Example { id: id.into(), ..example(index, label) };
    let first = [named(1, "a.jpg", "cat"), named(1, "copy of a.jpg", "cat"), named(2, "b.jpg", "cat")];
    trainer.import("d", &first, 3).await.1.unwrap();
    let (outcomes, ended) =
        trainer.import("d", &[named(1, "c.jpg", "dog"), named(2, "b.jpg", "dog"), named(3, "e.jpg", "dog")], 3).await;
    ended.unwrap();
    let rejected: Vec<&str> =
        outcomes.iter().filter(|o| o.outcome() == Outcome::Rejected).map(|o| o.id.as_str()).collect();
    assert_eq!(rejected, ["c.jpg", "b.jpg"], "the first label counts");

    let stats = async || {
        let request = GetDatasetStatsRequest { name: "d".into() };
        trainer.client().get_dataset_stats(request).await.unwrap().into_inner()
    };
    let found = stats().await;
    assert_eq!((found.duplicate_count, found.conflict_count, found.unlabelled_count), (1, 2, 0));
    assert_eq!(found.dataset.unwrap().example_count, 3);
    let a = found.conflicts.iter().find(|example| example.id == "a.jpg").unwrap();
    let told: Vec<(&str, &[String], bool)> =
        a.appearances.iter().map(|again| (again.id.as_str(), &again.labels[..], again.conflict)).collect();
    assert_eq!(told, [("c.jpg", &["dog".to_owned()][..], true), ("copy of a.jpg", &[][..], false)]);
    let listed = list(&trainer, ListExamplesRequest { conflicts: true, ..Default::default() }).await;
    assert_eq!(listed.len(), 2);

    // A person decides one; the owner of the other corrects the list and imports it again.
    relabel(&trainer, &[(by_id("a.jpg"), &["dog"])]).await;
    trainer.import("d", &[named(2, "b.jpg", "cat")], 1).await.1.unwrap();
    let found = stats().await;
    assert_eq!((found.duplicate_count, found.conflict_count), (1, 0), "{found:?}");
    assert_eq!(found.duplicates[0].labels, ["dog"]);
}

async fn a_multi_label_dataset_holds_sets(place: Place) {
    let trainer = Trainer::start(&place).await;
    let (tenant, name) = (Tenant::default(), graft_trainer::names::Name::parse("name", "d").unwrap());
    assert!(trainer.store.create_dataset(&tenant, &name, "net", crate::peer::SPACE, 4, true).await.unwrap());
    let labelled = |index, labels: &[&str]| Example {
        label: String::new(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..example(index, "")
    };
    let all = [labelled(1, &["b", "a"]), labelled(2, &[]), labelled(3, &["a"]), labelled(1, &["a", "b"])];
    let (outcomes, ended) = trainer.import("d", &all, 10).await;
    ended.unwrap();
    let count = |wanted| outcomes.iter().filter(|outcome| outcome.outcome() == wanted).count();
    assert_eq!((count(Outcome::Stored), count(Outcome::AlreadyKnown)), (3, 1), "{outcomes:?}");
    let request = GetDatasetStatsRequest { name: "d".into() };
    let stats = trainer.client().get_dataset_stats(request).await.unwrap().into_inner();
    let dataset = stats.dataset.unwrap();
    let counts: BTreeMap<&str, u64> =
        dataset.classes.iter().map(|c| (c.label.as_str(), c.train + c.validation + c.test)).collect();
    assert_eq!(counts, BTreeMap::from([("a", 2), ("b", 1)]));
    assert_eq!((dataset.example_count, dataset.multi_label, stats.unlabelled_count), (3, true, 1));
    assert_eq!(relabel(&trainer, &[(by_id("2"), &["c", "a", "c"]), (by_id("3"), &[])]).await, [Ok(1), Ok(1)]);
    let listed = list(&trainer, ListExamplesRequest { label: "c".into(), ..Default::default() }).await;
    assert_eq!(listed[0].labels, ["a", "c"]);
}

async fn a_snapshot_stays_as_it_is_while_the_dataset_changes(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let all: Vec<_> = (0..40).map(|index| example(index, if index % 2 == 0 { "even" } else { "odd" })).collect();
    let create = async || {
        let request = CreateSnapshotRequest { dataset: "d".into() };
        trainer.client().create_snapshot(request).await.map(|answer| answer.into_inner().snapshot.unwrap())
    };
    assert_eq!(create().await.unwrap_err().code(), Code::FailedPrecondition, "of nothing there is none");
    trainer.import("d", &all[..30], 30).await.1.unwrap();
    let first = create().await.unwrap();
    assert_eq!(first, create().await.unwrap(), "the same content is the same snapshot");
    assert_eq!((first.example_count, first.id.len(), first.space.as_str()), (30, 64, crate::peer::SPACE));
    let before = trainer.store.examples(dataset.id).await.unwrap();

    trainer.import("d", &all[30..], 10).await.1.unwrap();
    relabel(&trainer, &[(by_id("1"), &["even"])]).await;
    remove(&trainer, vec![by_id("2")]).await;
    let second = create().await.unwrap();
    assert!(second.id != first.id && second.example_count == 39);

    let tenant = Tenant::default();
    let kept = trainer.store.snapshot_examples(&tenant, &dataset, &first.id).await.unwrap().unwrap();
    assert_eq!(kept.len(), 30);
    for (kept, before) in kept.iter().zip(&before) {
        assert_eq!((kept.hash, &kept.labels, kept.split), (before.hash, &before.labels, before.split));
        assert_eq!(kept.id, if before.id == "2" { "" } else { &before.id });
    }
    let hashes: Vec<_> = kept.iter().map(|example| example.hash).collect();
    trainer.store.embeddings(&tenant, &dataset, &hashes).await.expect("what was removed can still be fitted on");

    let request = ListSnapshotsRequest { dataset: "d".into(), page_size: 1, ..Default::default() };
    let page = trainer.client().list_snapshots(request.clone()).await.unwrap().into_inner();
    assert!(page.snapshots.len() == 1 && !page.next_page_token.is_empty());
    let request = ListSnapshotsRequest { page_token: page.next_page_token, ..request };
    let last = trainer.client().list_snapshots(request).await.unwrap().into_inner();
    assert!(last.snapshots.len() == 1 && last.next_page_token.is_empty());
    let unknown = GetSnapshotRequest { dataset: "d".into(), id: "0".repeat(64) };
    assert_eq!(trainer.client().get_snapshot(unknown).await.unwrap_err().code(), Code::NotFound);
    let name = graft_trainer::names::Name::parse("name", "d").unwrap();
    trainer.store.delete_dataset(&tenant, &name).await.unwrap();
    let request = GetSnapshotRequest { dataset: "d".into(), id: first.id.clone() };
    let outlived = trainer.client().get_snapshot(request).await.unwrap().into_inner().snapshot;
    assert_eq!(outlived, Some(first));
}

/// What may be done to a dataset of twelve images.
#[derive(Clone, Debug)]
enum Step {
    /// Import some, with or without a split.
    Import(Vec<usize>, Option<Split>),
    Relabel(usize, bool),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let split = prop_oneof![3 => Just(None), 1 => (1i32..4).prop_map(|split| Split::try_from(split).ok())];
    prop_oneof![
        3 => (prop::collection::vec(0usize..12, 1..8), split).prop_map(|(images, split)| Step::Import(images, split)),
        1 => (0usize..12, any::<bool>()).prop_map(|(image, odd)| Step::Relabel(image, odd)),
        2 => (0usize..12).prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is done, an image is held once and in one split; none is ever moved, unless it is removed and then
    /// imported into another one by name.
    #[test]
    fn an_image_is_in_one_split_and_stays_there(steps in prop::collection::vec(step(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            follow(Place::directory().await, steps.clone()).await;
            follow(Place::cluster().await, steps).await;
        });
    }
}

async fn follow(place: Place, steps: Vec<Step>) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    // The split of each image that is there or was there.
    let mut splits: HashMap<usize, Split> = HashMap::new();
    let mut there: HashMap<usize, bool> = HashMap::new();
    for step in steps {
        let told = match &step {
            Step::Import(images, split) => {
                let given = split.map_or(0, |split| split as i32);
                let examples: Vec<Example> =
                    images.iter().map(|image| Example { split: given, ..example(*image, "x") }).collect();
                trainer.import("d", &examples, 3).await.1.unwrap();
                split.map(|split| (images.clone(), split))
            }
            Step::Relabel(image, odd) => {
                relabel(&trainer, &[(by_id(&image.to_string()), &[if *odd { "y" } else { "z" }])]).await;
                None
            }
            Step::Remove(image) => {
                remove(&trainer, vec![by_id(&image.to_string())]).await;
                None
            }
        };
        let rows = trainer.store.examples(dataset.id).await.unwrap();
        assert!(rows.is_sorted_by(|a, b| a.hash < b.hash), "each image is held once");
        let held: HashMap<usize, Split> = rows.iter().map(|row| (row.id.parse().unwrap(), row.split)).collect();
        assert_eq!(held.len(), rows.len());
        for (image, split) in &held {
            let named = told.as_ref().filter(|(images, _)| images.contains(image)).map(|(_, split)| *split);
            let was_there = there.get(image).copied().unwrap_or(false);
            match (splits.get(image), named) {
                (Some(before), None) => assert_eq!(split, before, "{image} moved by {step:?}"),
                (Some(before), Some(_)) if was_there => assert_eq!(split, before, "{image} moved by {step:?}"),
                (_, Some(named)) => assert_eq!(*split, named),
                (None, None) => {}
            }
            splits.insert(*image, *split);
        }
        there = held.keys().map(|image| (*image, true)).collect();
    }
}
