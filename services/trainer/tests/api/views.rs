//! Views of examples in imports and fits; with a scripted extractor.

use std::{ops::ControlFlow, sync::atomic::Ordering::SeqCst};

use crate::peer::{DIMENSION, Trainer, embedding, example, messages};
use crate::place::{Place, in_both};
use graft_proto::v1::{
    Augmentation, AugmentationKind, CreateDatasetRequest, Example, ExampleOutcome, GetDatasetRequest, Outcome, Split,
    import_examples_request::Message,
};
use graft_trainer::{
    content::ContentHash,
    fit::{FitOptions, HeadKind, TrainingData, cross_validate, fit_head, random::Random},
    names::{Name, Tenant},
    store::{datasets::DatasetRow, views::ViewKey},
};
use tonic::{Code, Status};

in_both!(
    views_are_stored_beside_their_images_and_embedded_once,
    what_is_measured_on_has_no_views,
    an_import_that_breaks_off_goes_on_with_whole_examples,
    what_is_out_of_range_or_comes_too_late_is_refused,
);

fn views(views: u32) -> Augmentation {
    Augmentation { views, ..Default::default() }
}

async fn import(
    trainer: &Trainer,
    dataset: &str,
    augmentation: Option<Augmentation>,
    examples: &[Example],
) -> (Vec<ExampleOutcome>, Result<(), Status>) {
    let mut messages = messages(dataset, examples, 20);
    if let Some(Message::Options(options)) = &mut messages[0].message {
        options.augmentation = augmentation;
    }
    trainer.import_messages(tokio_stream::iter(messages)).await
}

async fn row(trainer: &Trainer, name: &str) -> DatasetRow {
    trainer.store.dataset(&Tenant::default(), &Name::parse("name", name).unwrap()).await.unwrap().unwrap()
}

fn all(count: usize) -> Vec<Example> {
    let label = |index| if index % 2 == 0 { "even" } else { "odd" };
    (0..count).map(|index| Example { split: Split::Train as i32, ..example(index, label(index)) }).collect()
}

fn count(outcomes: &[ExampleOutcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| outcome.outcome() == wanted).count()
}

async fn views_are_stored_beside_their_images_and_embedded_once(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let embedded = || trainer.peer.embedded.load(SeqCst);
    let (outcomes, ended) = import(&trainer, "d", Some(views(3)), &all(50)).await;
    ended.unwrap();
    assert_eq!((count(&outcomes, Outcome::Stored), embedded()), (50, 50));
    // Said again, or not at all, it is the same.
    for asked in [Some(views(3)), None] {
        let (outcomes, ended) = import(&trainer, "d", asked, &all(50)).await;
        ended.unwrap();
        assert_eq!((count(&outcomes, Outcome::AlreadyKnown), embedded()), (50, 50));
    }
    let dataset = row(&trainer, "d").await;
    let hash = ContentHash::of(&example(7, "odd").image.unwrap()).unwrap();
    let keys: Vec<ViewKey> = [2, 0, 3].into_iter().map(|view| ViewKey { hash, view }).collect();
    let found = trainer.store.view_embeddings(&Tenant::default(), &dataset, &keys).await.unwrap();
    let expected = [2.0, 0.0, 3.0].map(|view| embedding(b"image 7").map(|number| number + view / 64.0));
    assert_eq!(found, expected.concat());

    // Fewer views of the same kind are there already; more, or others, are not.
    for (name, asked, new) in [
        ("fewer", views(2), 0),
        ("more", views(4), 50),
        ("more again", views(4), 0),
        ("seed", Augmentation { seed: 1, ..views(2) }, 50),
        ("none", views(0), 0),
    ] {
        let name = name.replace(' ', "-");
        trainer.dataset(&name).await;
        let before = embedded();
        let (outcomes, ended) = import(&trainer, &name, Some(asked), &all(50)).await;
        ended.unwrap();
        assert_eq!((count(&outcomes, Outcome::Stored), embedded() - before), (50, new), "{name}");
    }
}

async fn what_is_measured_on_has_no_views(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    let test = Example { split: Split::Test as i32, ..example(9, "odd") };
    let (outcomes, ended) = import(&trainer, "d", Some(views(2)), &[&all(4)[..], &[test]].concat()).await;
    ended.unwrap();
    assert_eq!(count(&outcomes, Outcome::Stored), 5);
    let dataset = row(&trainer, "d").await;
    let of = async |index, view| {
        let hash = ContentHash::of(&example(index, "").image.unwrap()).unwrap();
        trainer.store.view_embeddings(&Tenant::default(), &dataset, &[ViewKey { hash, view }]).await.is_ok()
    };
    assert!(of(9, 0).await && !of(9, 1).await && !of(9, 2).await);
    assert!(of(3, 0).await && of(3, 1).await && of(3, 2).await);
}

async fn an_import_that_breaks_off_goes_on_with_whole_examples(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("plain").await;
    trainer.import("plain", &all(30), 20).await.1.unwrap();
    trainer.dataset("d").await;
    trainer.peer.breaks_after.store(30 + 70, SeqCst);
    let (outcomes, ended) = import(&trainer, "d", Some(views(2)), &all(150)).await;
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    let stored = count(&outcomes, Outcome::Stored);
    assert!(stored > 0 && stored < 150, "{stored}");
    trainer.peer.breaks_after.store(usize::MAX, SeqCst);
    let before = trainer.peer.embedded.load(SeqCst);
    let (outcomes, ended) = import(&trainer, "d", Some(views(2)), &all(150)).await;
    ended.unwrap();
    assert_eq!((count(&outcomes, Outcome::AlreadyKnown), count(&outcomes, Outcome::Stored)), (stored, 150 - stored));
    assert_eq!(trainer.peer.embedded.load(SeqCst) - before, 150 - stored, "what is stored has all its views");
    let dataset = row(&trainer, "d").await;
    let hashes = trainer.store.examples(dataset.id).await.unwrap().into_iter().map(|example| example.hash);
    let keys: Vec<ViewKey> = hashes.flat_map(|hash| (0..=2).map(move |view| ViewKey { hash, view })).collect();
    let found = trainer.store.view_embeddings(&Tenant::default(), &dataset, &keys).await.unwrap();
    assert_eq!(found.len(), 150 * 3 * DIMENSION);
}

async fn what_is_out_of_range_or_comes_too_late_is_refused(place: Place) {
    let trainer = Trainer::start(&place).await;
    trainer.dataset("d").await;
    for (bad, field) in [
        (views(17), "views"),
        (Augmentation { kinds: vec![1, 9], ..views(2) }, "kinds"),
        (Augmentation { crop_scale_min: Some(-0.5), ..views(2) }, "crop_scale_min"),
        (Augmentation { crop_scale_max: Some(1.5), ..views(2) }, "crop_scale_max"),
        (Augmentation { contrast: Some(2.0), ..views(2) }, "contrast"),
    ] {
        let status = import(&trainer, "d", Some(bad.clone()), &all(1)).await.1.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(&format!("options.augmentation.{field}")), "{status:?}");
        let request = CreateDatasetRequest { name: "new".into(), augmentation: Some(bad), ..Default::default() };
        let status = trainer.client().create_dataset(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(&format!("augmentation.{field}")), "{status:?}");
    }
    import(&trainer, "d", None, &all(4)).await.1.unwrap();
    let late = import(&trainer, "d", Some(views(2)), &all(4)).await.1.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert!(late.message().contains("holds examples that have none"), "{late:?}");

    let asked = Augmentation { kinds: vec![AugmentationKind::Flip as i32], seed: 4, ..views(1) };
    let request = CreateDatasetRequest { name: "c".into(), augmentation: Some(asked.clone()), ..Default::default() };
    let created = trainer.client().create_dataset(request).await.unwrap().into_inner().dataset.unwrap();
    assert_eq!(created.augmentation, Some(asked.clone()));
    import(&trainer, "c", Some(asked.clone()), &all(4)).await.1.unwrap();
    for other in [views(0), views(1), Augmentation { seed: 5, ..asked.clone() }] {
        let status = import(&trainer, "c", Some(other), &all(4)).await.1.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("`c` has 1 views (recipe 1 flip seed 4)"), "{status:?}");
    }
    let request = GetDatasetRequest { name: "c".into() };
    let kept = trainer.client().get_dataset(request).await.unwrap().into_inner().dataset.unwrap();
    assert_eq!(kept.augmentation, Some(asked));
}

/// Noise with labels of pure chance; each row is followed by the others' views, which are its copies but for a hair.
fn chance(examples: usize, dim: usize, copies: usize) -> (Vec<f32>, Vec<u32>, Vec<u32>) {
    let mut random = Random::new(3);
    let mut features: Vec<f32> = (0..examples * dim).map(|_| random.unit() as f32).collect();
    let mut labels: Vec<u32> = (0..examples).map(|_| random.below(2) as u32).collect();
    let mut own: Vec<u32> = (0..examples as u32).collect();
    for example in 0..examples {
        for _ in 0..copies {
            let row = features[example * dim..(example + 1) * dim].to_vec();
            features.extend(row.into_iter().map(|x| x + 1e-4 * random.unit() as f32));
            labels.push(labels[example]);
            own.push(example as u32);
        }
    }
    (features, labels, own)
}

fn on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A view in a fold that its example is not in would give the answer away: all would be right instead of half.
#[test]
fn no_kind_of_head_learns_from_views_what_it_is_measured_on() {
    let (examples, dim) = (80, 120);
    let (features, labels, own) = chance(examples, dim, 3);
    let rows = labels.len();
    let data = || TrainingData::new(features.clone(), dim, labels.clone(), 2, rows).unwrap();
    let right = |logits: &[f32]| {
        logits.chunks(2).zip(&labels).filter(|(row, label)| u32::from(row[1] > row[0]) == **label).count()
    };
    for head in [HeadKind::Softmax, HeadKind::Lda, HeadKind::Neighbours, HeadKind::Auto] {
        let options = FitOptions { head, l2: vec![1e-3], ..FitOptions::default() };
        let logits = cross_validate(&data().with_views(own.clone()).unwrap(), &options, 5, 1, &mut on).unwrap();
        assert_eq!(logits.len(), examples * 2, "{head:?}: one row for each example");
        let found = right(&logits);
        assert!((22..=58).contains(&found), "{head:?}: {found} of {examples}");
        let logits = cross_validate(&data(), &options, 5, 1, &mut on).unwrap();
        assert!(right(&logits) > rows * 9 / 10, "{head:?}: as rows of their own they do give it away");
    }
}

/// With copies for views, every example counting as one, the optimum is that of the examples alone.
#[test]
fn copies_change_nothing_and_are_not_measured_on() {
    let (examples, train, dim) = (60, 40, 12);
    let (features, labels, _) = chance(examples, dim, 0);
    let options = FitOptions { l2: vec![1.0, 0.1], tolerance: 1e-7, ..FitOptions::default() };
    let plain = TrainingData::new(features.clone(), dim, labels.clone(), 2, train).unwrap();
    let plain = fit_head(plain, &options, &mut on).unwrap();
    let (mut x, mut y, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for (start, end) in [(0, train), (train, examples)] {
        let first = y.len();
        // The examples, and two copies of each.
        for example in (start..end).cycle().take(3 * (end - start)) {
            x.extend_from_slice(&features[example * dim..(example + 1) * dim]);
            y.push(labels[example]);
            own.push((first + example - start) as u32);
        }
    }
    let data = TrainingData::new(x, dim, y, 2, 3 * train).unwrap().with_views(own).unwrap();
    let viewed = fit_head(data, &options, &mut on).unwrap();
    assert_eq!(plain.l2, viewed.l2);
    assert_eq!(viewed.selection_logits.as_ref().unwrap().len(), (examples - train) * 2);
    let (a, b) =
        (plain.head.logits(features.clone(), examples).unwrap(), viewed.head.logits(features, examples).unwrap());
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3, "{apart}");
    assert!((plain.loss - viewed.loss).abs() < 1e-5, "{} {}", plain.loss, viewed.loss);
}
