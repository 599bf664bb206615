//! Further views of images, from outside: embedded with the image, kept beside it, fitted on, and made once.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    Augmentation, AugmentationKind, ExtractOptions, GetDatasetRequest, GetDatasetStatsRequest, Image,
    ImportExamplesRequest, Outcome, Split, extract_response::Message, import_examples_request,
};
use graft_tests::{
    calls::{create_dataset, examples, extract, extract_messages, import, import_messages, refused, rows, train},
    command::{expect, graft_on},
    fashion::{self, Row},
    pictures::{encoded, photo},
    services::{Pair, Service},
};
use tempfile::TempDir;
use tonic::Code;

fn all_kinds(views: u32) -> Augmentation {
    let kinds = [AugmentationKind::Flip, AugmentationKind::Crop, AugmentationKind::Colour];
    Augmentation { views, kinds: kinds.map(|kind| kind as i32).to_vec(), ..Default::default() }
}

/// Embeddings by id and view; each comes once. Failures are counted.
type Viewed = (HashMap<(String, u32), Vec<f32>>, usize);

async fn embed(extractor: &Service, augmentation: Augmentation, items: Vec<(String, Image)>) -> Result<Viewed> {
    let options = ExtractOptions { augmentation: Some(augmentation), ..Default::default() };
    let messages = tokio_stream::iter(extract_messages(options, items));
    let mut answers = extractor.extractor_client().await?.extract(messages).await?.into_inner();
    let (mut found, mut failures) = (HashMap::new(), 0);
    while let Some(answer) = answers.message().await? {
        match answer.message.context("an answer holds something")? {
            Message::Embeddings(batch) => {
                let of_rows = rows(&batch)?;
                let views = if batch.views.is_empty() { vec![0; of_rows.len()] } else { batch.views };
                ensure!(views.len() == of_rows.len(), "a view for each row");
                for ((id, row), view) in of_rows.into_iter().zip(views) {
                    ensure!(found.insert((id.clone(), view), row).is_none(), "view {view} of {id} came twice");
                }
            }
            Message::Failure(_) => failures += 1,
            Message::Backbone(_) => {}
        }
    }
    Ok((found, failures))
}

#[tokio::test]
async fn the_plain_image_is_as_it_is_without_views_and_views_do_not_depend_on_order() -> Result<()> {
    // A window that is smaller than the views of one image.
    let extractor = Service::extractor(&["--stream-window", "2"]).await?;
    let mut items: Vec<(String, Image)> =
        fashion::reference()?.iter().enumerate().map(|(index, row)| (index.to_string(), row.image())).collect();
    items.push(("photo".into(), encoded(photo("coffee.jpg")?)));
    let plain = extract(&extractor, ExtractOptions::default(), items.clone()).await?;
    let (found, _) = embed(&extractor, all_kinds(4), items.clone()).await?;
    ensure!(found.len() == items.len() * 5);
    for (id, row) in &plain {
        ensure!(row.as_ref().ok() == found.get(&(id.clone(), 0)), "{id} is bit for bit the same");
    }
    items.reverse();
    let (again, _) = embed(&extractor, all_kinds(2), items.clone()).await?;
    ensure!(again.len() == items.len() * 3 && again.iter().all(|(key, row)| found[key] == *row));
    for view in 1..=4 {
        for other in 0..view {
            let of = |view| &found[&("photo".to_owned(), view)];
            ensure!(of(view) != of(other), "views {view} and {other} differ");
        }
    }
    let (seeded, _) = embed(&extractor, Augmentation { seed: 9, ..all_kinds(1) }, items).await?;
    ensure!(seeded[&("photo".to_owned(), 1)] != found[&("photo".to_owned(), 1)]);

    let bad = vec![("bad".to_owned(), encoded(photo("coffee.jpg")?.slice(..9_000)))];
    let (none, failures) = embed(&extractor, all_kinds(4), bad).await?;
    ensure!(none.is_empty() && failures == 1, "an image that is none is one answer");
    ensure!(extractor.metric("graft_extractor_views_total", "").await? == 9.0 * (4.0 + 2.0 + 1.0));
    Ok(())
}

#[tokio::test]
async fn what_views_cannot_be_is_named() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    for (augmentation, field) in [
        (all_kinds(17), "options.augmentation.views"),
        (Augmentation { kinds: vec![9], ..all_kinds(1) }, "options.augmentation.kinds"),
        (Augmentation { crop_scale_min: Some(0.0), ..all_kinds(1) }, "options.augmentation.crop_scale_min"),
        (Augmentation { crop_scale_max: Some(1.01), ..all_kinds(1) }, "options.augmentation.crop_scale_max"),
        (Augmentation { saturation: Some(f64::NAN), ..all_kinds(1) }, "options.augmentation.saturation"),
    ] {
        let options = ExtractOptions { augmentation: Some(augmentation), ..Default::default() };
        let messages = tokio_stream::iter(extract_messages(options, Vec::new()));
        let answer = extractor.extractor_client().await?.extract(messages).await;
        refused(answer.map(|_| ()), Code::InvalidArgument, &[field, "accepted"])?;
    }
    Ok(())
}

#[tokio::test]
async fn the_cache_keeps_views_apart() -> Result<()> {
    let extractor = Service::extractor(&["--embedding-cache-mib", "8"]).await?;
    let items = vec![("photo".to_owned(), encoded(photo("coffee.jpg")?))];
    let (first, _) = embed(&extractor, all_kinds(3), items.clone()).await?;
    let images = async |outcome| extractor.metric("graft_extractor_images_total", outcome).await;
    ensure!(images("embedded").await? == 1.0);
    for (views, cached) in [(3, 1.0), (2, 2.0)] {
        let (again, _) = embed(&extractor, all_kinds(views), items.clone()).await?;
        ensure!(again.len() == 1 + views as usize && again.iter().all(|(key, row)| first[key] == *row));
        ensure!(images("cached").await? == cached && images("embedded").await? == 1.0);
    }
    let (seeded, _) = embed(&extractor, Augmentation { seed: 1, ..all_kinds(3) }, items.clone()).await?;
    ensure!(images("embedded").await? == 2.0 && seeded.len() == 4);
    ensure!(seeded[&("photo".to_owned(), 1)] != first[&("photo".to_owned(), 1)]);
    let plain = extract(&extractor, ExtractOptions::default(), items).await?;
    ensure!(images("cached").await? == 3.0 && plain["photo"].as_ref().ok() == first.get(&("photo".to_owned(), 0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_with_views_to_answers() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let path = folder.path().join("rows.csv");
    let rows = fashion::train()?;
    fs::write(&path, fashion::csv(&rows[..60]))?;
    let path = path.to_string_lossy();
    let made = async || -> Result<[f64; 2]> {
        let images = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
        Ok([images, pair.extractor.metric("graft_extractor_views_total", "").await?])
    };
    let views = ["import", "clothes", &path, "--views", "3", "--augment", "flip,crop,colour", "--augment-seed", "5"];
    expect(graft_on(&pair, &views)?, 0, &["stored 60"])?;
    let request = GetDatasetStatsRequest { name: "clothes".into() };
    let stats = pair.trainer.dataset_client().await?.get_dataset_stats(request).await?.into_inner();
    let test = stats.splits.context("the splits")?.test;
    ensure!(test > 0 && made().await? == [60.0, 3.0 * (60 - test) as f64], "{:?}, {test} test", made().await?);
    let before = made().await?;
    expect(graft_on(&pair, &views)?, 0, &["stored 0"])?;
    expect(graft_on(&pair, &views[..3])?, 0, &["stored 0"])?;
    ensure!(made().await? == before, "nothing is made twice");
    let told = ["60 examples", "3 views of each: flip, crop 0.5 to 1, colour 0.2 0.2 0.2, seed 5"];
    expect(graft_on(&pair, &["dataset", "show", "clothes"])?, 0, &told)?;
    expect(graft_on(&pair, &["dataset", "stats", "clothes"])?, 0, &told[1..])?;

    let run = train(&pair.trainer, "clothes").await?;
    let used = run.augmentation.context("the run says which views it used")?;
    ensure!((used.views, used.seed, used.kinds.len()) == (3, 5, 3), "{used:?}");
    let answers = ["classify", "clothes", "--rows", &path, "--limit", "20", "--output", "json"];
    let answers: serde_json::Value = serde_json::from_str(&expect(graft_on(&pair, &answers)?, 0, &[])?)?;
    let answers = answers.as_array().context("answers")?;
    let right = answers.iter().zip(&rows).filter(|(answer, row)| answer["predictions"][0]["label"] == row.label);
    ensure!(answers.len() == 20 && right.clone().count() >= 12, "{} of 20", right.count());

    let other = ["import", "clothes", &path, "--views", "4"];
    expect(graft_on(&pair, &other)?, 1, &["`clothes` has 3 views", "another dataset"])?;
    expect(graft_on(&pair, &["import", "other", &path, "--views", "17"])?, 1, &["augmentation.views", "0 to 16"])?;
    expect(graft_on(&pair, &["import", "other", &path, "--augment", "flip"])?, 2, &["--views"])?;
    expect(graft_on(&pair, &["import", "other", &path, "--views", "2", "--augment", "blur"])?, 2, &["blur", "crop"])?;
    Ok(())
}

/// Examples with two views each.
fn viewed(all: &[Row]) -> Vec<ImportExamplesRequest> {
    let mut messages = import_messages("fashion", examples(all, Split::Train, 0));
    if let Some(import_examples_request::Message::Options(options)) = &mut messages[0].message {
        options.augmentation = Some(all_kinds(2));
    }
    messages
}

async fn count(pair: &Pair) -> Result<u64> {
    let request = GetDatasetRequest { name: "fashion".into() };
    let answer = pair.trainer.dataset_client().await?.get_dataset(request).await?.into_inner();
    Ok(answer.dataset.context("a dataset")?.example_count)
}

#[tokio::test]
async fn a_killed_import_goes_on_with_the_views_that_are_missing() -> Result<()> {
    let mut pair = Pair::start().await?;
    create_dataset(&pair.trainer, "fashion").await?;
    let all = &fashion::train()?[..400];
    let mut client = pair.trainer.dataset_client().await?;
    let mut answers = client.import_examples(tokio_stream::iter(viewed(all))).await?.into_inner();
    let mut acknowledged = 0;
    while acknowledged < 100 {
        let answer = answers.message().await?.context("the import was over before it was killed")?;
        ensure!(answer.outcomes.iter().all(|outcome| outcome.outcome() == Outcome::Stored));
        acknowledged += answer.outcomes.len() as u64;
    }
    tokio::time::sleep(Duration::from_millis(137)).await;
    pair.trainer.restart().await?;
    let stored = count(&pair).await?;
    ensure!(stored >= acknowledged && stored < 400, "{acknowledged} acknowledged, {stored} stored");
    // What the killed trainer had asked for is done or dropped by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = async || -> Result<[f64; 2]> {
        let images = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
        Ok([images, pair.extractor.metric("graft_extractor_views_total", "").await?])
    };
    let before = made().await?;
    let outcomes = import(&pair.trainer, "fashion", examples(all, Split::Train, 0)).await?;
    let known = outcomes.iter().filter(|outcome| outcome.outcome() == Outcome::AlreadyKnown).count() as u64;
    let after = made().await?;
    ensure!(outcomes.len() == 400 && known == stored, "{known} known of {stored} stored");
    let new = (400 - stored) as f64;
    ensure!(after[0] - before[0] == new && after[1] - before[1] == 2.0 * new, "{before:?} {after:?}, {new} new");
    ensure!(count(&pair).await? == 400);
    let run = train(&pair.trainer, "fashion").await.context("every view is there")?;
    ensure!(run.augmentation.is_some_and(|used| used.views == 2));
    Ok(())
}
