//! Imports with a scripted extractor: one that breaks off, and two imports of the same at once.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::peer::{DIMENSION, Trainer, embedding, example, messages};
use crate::place::{Place, in_both};
use futures::StreamExt;
use graft_proto::v1::{Embedding, Example, ExampleOutcome, Image, Outcome, image::Source};
use graft_trainer::{content::ContentHash, names::Tenant};
use tonic::Code;

in_both!(
    what_was_acknowledged_before_the_extractor_went_is_stored_and_the_rest_is_imported_again,
    two_imports_of_the_same_at_once_store_each_image_once,
    another_dataset_takes_the_embeddings_that_there_are,
    embeddings_that_the_caller_has_are_stored_without_the_extractor,
    a_label_too_many_is_rejected_and_the_others_are_stored,
    a_message_of_very_many_bad_examples_is_answered_in_small_ones,
);

fn count(outcomes: &[ExampleOutcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| outcome.outcome() == wanted).count()
}

async fn what_was_acknowledged_before_the_extractor_went_is_stored_and_the_rest_is_imported_again(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let all: Vec<_> = (0..2000).map(|index| example(index, if index % 2 == 0 { "even" } else { "odd" })).collect();
    trainer.peer.breaks_after.store(1300, Ordering::SeqCst);
    let (outcomes, ended) = trainer.import("d", &all, 64).await;
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("http://127.0.0.1:") && status.message().contains("power"), "{status:?}");
    let acknowledged: HashSet<String> = outcomes.iter().map(|outcome| outcome.id.clone()).collect();
    assert_eq!(count(&outcomes, Outcome::Stored), acknowledged.len());
    let stored = trainer.store.examples(dataset.id).await.unwrap().len();
    assert_eq!(stored, acknowledged.len(), "all that was embedded is stored and said to be");
    assert!((1000..=1300).contains(&stored), "{stored}");

    trainer.peer.breaks_after.store(usize::MAX, Ordering::SeqCst);
    let before = trainer.peer.embedded.load(Ordering::SeqCst);
    let (outcomes, ended) = trainer.import("d", &all, 64).await;
    ended.unwrap();
    assert_eq!(outcomes.len(), 2000);
    assert_eq!(count(&outcomes, Outcome::AlreadyKnown), stored);
    assert_eq!(count(&outcomes, Outcome::Stored), 2000 - stored);
    assert_eq!(trainer.peer.embedded.load(Ordering::SeqCst) - before, 2000 - stored, "nothing is embedded twice");

    let rows = trainer.store.examples(dataset.id).await.unwrap();
    let hashes: Vec<_> = rows.iter().map(|row| row.hash).collect();
    let numbers = trainer.store.embeddings(&Tenant::default(), &dataset, &hashes).await.unwrap();
    let found: HashSet<Vec<u32>> =
        numbers.chunks(DIMENSION).map(|row| row.iter().map(|n| *n as u32).collect()).collect();
    let expected: HashSet<Vec<u32>> = (0..2000)
        .map(|index| embedding(format!("image {index}").as_bytes()).iter().map(|n| *n as u32).collect())
        .collect();
    assert_eq!(found, expected, "each embedding is its own image's");
}

async fn two_imports_of_the_same_at_once_store_each_image_once(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let cats: Vec<_> = (0..1500).map(|index| example(index, "cat")).collect();
    let dogs: Vec<_> = (0..1500).rev().map(|index| example(index, "dog")).collect();
    let (a, b) = tokio::join!(trainer.import("d", &cats, 100), trainer.import("d", &dogs, 100));
    a.1.unwrap();
    b.1.unwrap();
    let both = [a.0, b.0].concat();
    assert_eq!(both.len(), 3000, "each has an outcome");
    assert_eq!(count(&both, Outcome::Stored), 1500, "one of the two is stored");
    assert_eq!(count(&both, Outcome::Rejected), 1500, "the other is told of it");
    for outcome in both.iter().filter(|outcome| outcome.outcome() == Outcome::Rejected) {
        let error = outcome.error.as_ref().unwrap();
        assert_eq!(error.code, Code::FailedPrecondition as i32);
        assert!(error.message.contains("`cat`") && error.message.contains("`dog`"), "{}", error.message);
    }
    let rows = trainer.store.examples(dataset.id).await.unwrap();
    assert_eq!(rows.len(), 1500);
    let hashes: Vec<_> = rows.iter().map(|row| row.hash).collect();
    trainer.store.embeddings(&Tenant::default(), &dataset, &hashes).await.unwrap();
}

async fn another_dataset_takes_the_embeddings_that_there_are(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("first").await;
    trainer.dataset("second").await;
    let all: Vec<_> = (0..1200).map(|index| example(index, "x")).collect();
    trainer.import("first", &all, 1200).await.1.unwrap();
    let (outcomes, ended) = trainer.import("second", &all, 1200).await;
    ended.unwrap();
    assert_eq!(count(&outcomes, Outcome::Stored), 1200);
    assert_eq!(trainer.peer.embedded.load(Ordering::SeqCst), 1200, "each image is embedded once");
}

async fn embeddings_that_the_caller_has_are_stored_without_the_extractor(place: Place) {
    let trainer = Trainer::start(&place).await;
    let dataset = trainer.dataset("d").await;
    let given = |index: usize| {
        let numbers: Vec<f32> = (0..DIMENSION).map(|at| (index * DIMENSION + at) as f32).collect();
        let data = numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>().into();
        let embedding = Some(Embedding { space: dataset.space.clone(), dtype: 0, data });
        (ContentHash::of_embedding(&numbers), numbers, embedding)
    };
    let with = |index, label| Example { image: None, embedding: given(index).2, ..example(index, label) };
    let mut all: Vec<_> = (0..600).map(|index| with(index, "x")).collect();
    all.push(with(7, "x"));
    all.push(with(8, "y"));
    let other = Embedding { space: "other@0".into(), ..given(900).2.unwrap() };
    all.push(Example { embedding: Some(other), ..with(900, "x") });
    all.push(example(1000, "x"));
    let (outcomes, ended) = trainer.import("d", &all, 100).await;
    ended.unwrap();
    assert_eq!((count(&outcomes, Outcome::Stored), count(&outcomes, Outcome::AlreadyKnown)), (601, 1));
    assert_eq!((outcomes.len(), count(&outcomes, Outcome::Rejected)), (604, 2));
    assert_eq!(trainer.peer.embedded.load(Ordering::SeqCst), 1, "the one that came as an image");
    let (hashes, numbers): (Vec<_>, Vec<_>) =
        [599, 0, 7].map(|index| (given(index).0, given(index).1)).into_iter().unzip();
    let found = trainer.store.embeddings(&Tenant::default(), &dataset, &hashes).await.unwrap();
    assert_eq!(found, numbers.concat());
}

#[tokio::test]
async fn the_same_image_over_and_over_is_not_kept_while_the_extractor_stands_still() {
    const EXAMPLES: usize = 20_000;
    let place = Place::directory().await;
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let image = Image { source: Some(Source::Encoded(vec![7; 1000].into())) };
    let same = |index| Example { id: format!("{index}"), image: Some(image.clone()), ..example(0, "x") };
    let all: Vec<Example> = (0..EXAMPLES).map(same).collect();
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let messages = tokio_stream::iter(messages("d", &all, 100)).inspect(move |_| {
        counter.fetch_add(100, Ordering::SeqCst);
    });
    let still = trainer.peer.still.clone().lock_owned().await;
    let watch = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let taken = read.load(Ordering::SeqCst);
        // What is kept, and what the windows of HTTP/2 hold: a megabyte, and as much again at the sender.
        assert!((4096..9000).contains(&taken), "{taken} of {EXAMPLES} were read");
        drop(still);
    };
    let ((outcomes, ended), ()) = tokio::join!(trainer.import_messages(messages), watch);
    ended.unwrap();
    assert_eq!((outcomes.len(), count(&outcomes, Outcome::Stored)), (EXAMPLES, 1));
    assert_eq!(count(&outcomes, Outcome::AlreadyKnown), EXAMPLES - 1);
    assert_eq!(trainer.peer.embedded.load(Ordering::SeqCst), 1, "it is embedded once");
}

async fn a_label_too_many_is_rejected_and_the_others_are_stored(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let all: Vec<_> = (0..1001).map(|index| example(index, &format!("label {index}"))).collect();
    let (outcomes, ended) = trainer.import("d", &all[..600], 100).await;
    ended.unwrap();
    assert_eq!(count(&outcomes, Outcome::Stored), 600);
    let more = [&all[600..], &[example(2000, "label 3")]].concat();
    let (outcomes, ended) = trainer.import("d", &more, 100).await;
    ended.unwrap();
    assert_eq!((count(&outcomes, Outcome::Stored), count(&outcomes, Outcome::Rejected)), (401, 1));
    let rejected = outcomes.iter().find(|outcome| outcome.outcome() == Outcome::Rejected).unwrap();
    let error = rejected.error.as_ref().unwrap();
    assert_eq!((rejected.id.as_str(), error.code), ("1000", Code::FailedPrecondition as i32));
    assert!(error.message.contains("`label 1000`") && error.message.contains("at most 1000"), "{}", error.message);
}

async fn a_message_of_very_many_bad_examples_is_answered_in_small_ones(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let mut all: Vec<_> = (0..100_000).map(|index| example(index, "")).collect();
    all[50_000].label = "good".into();
    let (outcomes, ended) = trainer.import("d", &all, all.len()).await;
    ended.unwrap();
    assert_eq!((outcomes.len(), count(&outcomes, Outcome::Rejected)), (100_000, 99_999));
    assert_eq!(count(&outcomes, Outcome::Stored), 1);
}
