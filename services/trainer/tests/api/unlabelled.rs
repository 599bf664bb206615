//! Examples that wait for a label: said to, kept apart, and labelled in every way that there is; with a scripted extractor.

use std::sync::atomic::Ordering;

use crate::peer::{SPACE, Trainer, example};
use crate::place::{Place, in_both};
use graft_proto::v1::{
    CreateSnapshotRequest, Dataset, Example, ExampleKey, GetDatasetRequest, GetDatasetStatsRequest,
    ListExamplesRequest, Outcome, RelabelExamplesRequest, Relabelling, RemoveExamplesRequest, Split, StoredExample,
    example_key,
};
use graft_trainer::names::{Name, Tenant};
use tonic::Code;

in_both!(
    what_waits_for_a_label_is_kept_apart,
    importing_again_with_a_label_gives_it,
    one_import_may_bring_an_image_without_and_with_its_label,
    relabelling_gives_a_label_and_a_split,
    a_set_that_is_empty_is_not_one_that_is_waited_for,
    a_split_of_before_comes_back_with_the_label,
);

fn unlabelled(index: usize) -> Example {
    Example { split: Split::Unlabelled as i32, ..example(index, "") }
}

async fn described(trainer: &Trainer) -> Dataset {
    let request = GetDatasetRequest { name: "d".into() };
    trainer.client().get_dataset(request).await.unwrap().into_inner().dataset.unwrap()
}

async fn listed(trainer: &Trainer, split: Split) -> Vec<StoredExample> {
    let request =
        ListExamplesRequest { dataset: "d".into(), split: split as i32, page_size: 1000, ..Default::default() };
    trainer.client().list_examples(request).await.unwrap().into_inner().examples
}

/// Import, and give back the outcomes in the order of the ids.
async fn import(trainer: &Trainer, examples: &[Example]) -> Vec<Outcome> {
    let (mut outcomes, ended) = trainer.import("d", examples, 100).await;
    ended.unwrap();
    outcomes.sort_by_key(|outcome| outcome.id.parse::<usize>().unwrap_or(usize::MAX));
    outcomes.iter().map(graft_proto::v1::ExampleOutcome::outcome).collect()
}

async fn relabel(trainer: &Trainer, id: &str, labels: &[&str]) -> Result<u32, Code> {
    let key = ExampleKey { key: Some(example_key::Key::Id(id.into())) };
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let relabellings = vec![Relabelling { example: Some(key), labels }];
    let request = RelabelExamplesRequest { dataset: "d".into(), relabellings };
    let mut outcomes = trainer.client().relabel_examples(request).await.unwrap().into_inner().outcomes;
    let outcome = outcomes.remove(0);
    outcome.error.map_or(Ok(outcome.examples), |error| Err(Code::from_i32(error.code)))
}

async fn remove(trainer: &Trainer, id: &str) {
    let examples = vec![ExampleKey { key: Some(example_key::Key::Id(id.into())) }];
    let request = RemoveExamplesRequest { dataset: "d".into(), examples };
    let outcomes = trainer.client().remove_examples(request).await.unwrap().into_inner().outcomes;
    assert!(outcomes[0].error.is_none(), "{outcomes:?}");
}

async fn what_waits_for_a_label_is_kept_apart(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let mut all: Vec<Example> = (0..20).map(unlabelled).collect();
    all.extend((20..30).map(|index| example(index, "cat")));
    // Without a word, a label that is missing is a mistake.
    all.push(example(30, ""));
    let outcomes = import(&trainer, &all).await;
    assert_eq!(outcomes[..30], [Outcome::Stored; 30]);
    assert_eq!(outcomes[30], Outcome::Rejected);

    let found = described(&trainer).await;
    assert_eq!((found.example_count, found.unlabelled_count), (10, 20));
    assert_eq!(found.classes.iter().map(|c| c.train + c.validation + c.test).collect::<Vec<_>>(), [10]);
    let waiting = listed(&trainer, Split::Unlabelled).await;
    assert!(waiting.len() == 20 && waiting.iter().all(|e| e.labels.is_empty() && e.split() == Split::Unlabelled));
    assert_eq!(listed(&trainer, Split::Unspecified).await.len(), 30);
    let request = GetDatasetStatsRequest { name: "d".into() };
    let stats = trainer.client().get_dataset_stats(request).await.unwrap().into_inner();
    let splits = stats.splits.unwrap();
    assert_eq!(splits.train + splits.validation + splits.test, 10);
    assert_eq!((stats.unlabelled_count, stats.duplicate_count, stats.conflict_count), (0, 0, 0));
    let snapshot = trainer.client().create_snapshot(CreateSnapshotRequest { dataset: "d".into() }).await.unwrap();
    let snapshot = snapshot.into_inner().snapshot.unwrap();
    assert_eq!(snapshot.example_count, 10);
    assert_eq!(trainer.store.unlabelled(dataset.id, 100).await.unwrap().len(), 20);

    remove(&trainer, "3").await;
    assert_eq!(described(&trainer).await.unlabelled_count, 19);
    let again = trainer.client().create_snapshot(CreateSnapshotRequest { dataset: "d".into() }).await.unwrap();
    assert_eq!(again.into_inner().snapshot.unwrap().id, snapshot.id, "it was not in it");
}

async fn importing_again_with_a_label_gives_it(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    import(&trainer, &(0..40).map(unlabelled).collect::<Vec<_>>()).await;
    let embedded = trainer.peer.embedded.load(Ordering::SeqCst);
    let mut labelled: Vec<Example> = (0..30).map(|index| example(index, "cat")).collect();
    labelled[7].split = Split::Test as i32;
    assert_eq!(import(&trainer, &labelled).await, [Outcome::Stored; 30]);
    assert_eq!(trainer.peer.embedded.load(Ordering::SeqCst), embedded, "nothing is embedded again");
    let found = described(&trainer).await;
    assert_eq!((found.example_count, found.unlabelled_count), (30, 10));
    let cats = &found.classes[0];
    assert!(cats.train > cats.test && cats.test > 0 && cats.validation > 0, "as an import places them: {cats:?}");
    assert!(listed(&trainer, Split::Test).await.iter().any(|example| example.id == "7"));

    // Labelled, it is known, with the label and without; under another id, it is a duplicate.
    assert_eq!(import(&trainer, &labelled).await, [Outcome::AlreadyKnown; 30]);
    assert_eq!(import(&trainer, &(0..40).map(unlabelled).collect::<Vec<_>>()).await, [Outcome::AlreadyKnown; 40]);
    let copy = Example { id: "100".into(), ..unlabelled(1) };
    assert_eq!(import(&trainer, &[copy, example(2, "dog")]).await, [Outcome::Rejected, Outcome::AlreadyKnown]);
    let late = Example { id: "101".into(), ..example(35, "cat") };
    assert_eq!(import(&trainer, &[late]).await, [Outcome::Stored]);
    let request = GetDatasetStatsRequest { name: "d".into() };
    let stats = trainer.client().get_dataset_stats(request).await.unwrap().into_inner();
    assert_eq!((stats.duplicate_count, stats.conflict_count), (2, 1), "{stats:?}");
    let twice: Vec<&str> = stats.duplicates.iter().map(|example| example.id.as_str()).collect();
    assert!(twice.contains(&"1") && twice.contains(&"35"), "the first id stays: {twice:?}");
}

async fn one_import_may_bring_an_image_without_and_with_its_label(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let named = |id: &str, example: Example| Example { id: id.into(), ..example };
    let all = [
        named("0", unlabelled(1)),
        named("1", example(1, "cat")),
        named("2", example(1, "dog")),
        named("3", unlabelled(1)),
        named("4", example(2, "cat")),
        named("5", unlabelled(2)),
    ];
    let wanted = [
        Outcome::Stored,
        Outcome::Stored,
        Outcome::Rejected,
        Outcome::AlreadyKnown,
        Outcome::Stored,
        Outcome::AlreadyKnown,
    ];
    assert_eq!(import(&trainer, &all).await, wanted);
    let found = described(&trainer).await;
    assert_eq!((found.example_count, found.unlabelled_count), (2, 0));
    let all = listed(&trainer, Split::Unspecified).await;
    let first = all.iter().find(|example| example.id == "0").unwrap();
    let again: Vec<(&str, bool)> = first.appearances.iter().map(|a| (a.id.as_str(), a.conflict)).collect();
    assert_eq!(again, [("1", false), ("2", true), ("3", false)]);
}

async fn relabelling_gives_a_label_and_a_split(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    import(&trainer, &(0..60).map(unlabelled).collect::<Vec<_>>()).await;
    assert_eq!(relabel(&trainer, "0", &[]).await, Err(Code::InvalidArgument), "one label it must be");
    let relabellings = (0..60).map(|index| Relabelling {
        example: Some(ExampleKey { key: Some(example_key::Key::Id(index.to_string())) }),
        labels: vec!["cat".into()],
    });
    let request = RelabelExamplesRequest { dataset: "d".into(), relabellings: relabellings.collect() };
    let outcomes = trainer.client().relabel_examples(request).await.unwrap().into_inner().outcomes;
    assert!(outcomes.iter().all(|outcome| outcome.examples == 1), "{outcomes:?}");
    let found = described(&trainer).await;
    let cats = &found.classes[0];
    assert_eq!((found.example_count, found.unlabelled_count), (60, 0));
    assert!((36..=48).contains(&cats.train) && cats.validation > 3 && cats.test > 3, "about 70, 15 and 15%: {cats:?}");

    let before = listed(&trainer, Split::Unspecified).await;
    assert_eq!(relabel(&trainer, "5", &["dog"]).await, Ok(1));
    let after = listed(&trainer, Split::Unspecified).await;
    assert!(before.iter().zip(&after).all(|(a, b)| a.split == b.split), "once it has a split it stays there");
}

async fn a_set_that_is_empty_is_not_one_that_is_waited_for(place: Place) {
    let trainer = Trainer::start(&place).await;
    let (tenant, name) = (Tenant::default(), Name::parse("name", "d").unwrap());
    assert!(trainer.store.create_dataset(&tenant, &name, "net", SPACE, 4, true).await.unwrap());
    let none = |index| Example { label: String::new(), ..example(index, "") };
    assert_eq!(import(&trainer, &[unlabelled(0), unlabelled(1), none(2)]).await, [Outcome::Stored; 3]);
    let found = described(&trainer).await;
    assert_eq!((found.example_count, found.unlabelled_count), (1, 2));
    assert_eq!(import(&trainer, &[none(0)]).await, [Outcome::Stored], "that none applies is an answer");
    assert_eq!(relabel(&trainer, "1", &[]).await, Ok(1));
    let found = described(&trainer).await;
    assert_eq!((found.example_count, found.unlabelled_count), (3, 0));
    let request = GetDatasetStatsRequest { name: "d".into() };
    let stats = trainer.client().get_dataset_stats(request).await.unwrap().into_inner();
    assert_eq!((stats.unlabelled_count, stats.conflict_count), (3, 0));
}

async fn a_split_of_before_comes_back_with_the_label(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let test = |index| Example { split: Split::Test as i32, ..example(index, "cat") };
    let all: Vec<Example> = (0..8).map(test).collect();
    import(&trainer, &all).await;
    for index in 0..8 {
        remove(&trainer, &index.to_string()).await;
    }
    let waiting: Vec<Example> = (0..8).map(unlabelled).collect();
    import(&trainer, &waiting).await;
    remove(&trainer, "0").await;
    import(&trainer, &waiting).await;
    for index in 0..4 {
        assert_eq!(relabel(&trainer, &index.to_string(), &["cat"]).await, Ok(1));
    }
    import(&trainer, &(4..8).map(|index| example(index, "cat")).collect::<Vec<_>>()).await;
    assert_eq!(listed(&trainer, Split::Test).await.len(), 8, "what was measured on is not fitted on");
}
