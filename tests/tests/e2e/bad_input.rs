//! Bad input to the trainer: each is answered with what was wrong, and everything else goes on.

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    CancelTrainingRunRequest, ClassifyInput, ClassifyOptions, ClassifyRequest, ClassifyStreamRequest,
    CreateDatasetRequest, CreateTrainingRunRequest, DeleteDatasetRequest, GetDatasetRequest, GetHeadRequest,
    GetTrainingRunRequest, ImportExamplesRequest, Outcome, Split, TrainingOptions, WatchTrainingRunRequest,
    classify_input, classify_stream_request,
};
use graft_tests::{
    calls::{create_dataset, example, examples, import, import_messages, mentions, refused, train},
    fashion,
    pictures::{encoded, photo, png_of_size, stripes},
    services::{Pair, Service, free_port},
};
use image::ImageFormat;
use tempfile::TempDir;
use tonic::Code;

#[tokio::test]
async fn names_are_checked() -> Result<()> {
    let pair = Pair::start().await?;
    let mut client = pair.trainer.dataset_client().await?;
    let mut create = async |name: &str, backbone: &str| {
        client
            .create_dataset(CreateDatasetRequest { name: name.into(), backbone: backbone.into(), ..Default::default() })
            .await
    };
    for name in ["", "a/b", "../up", "Upper", "sp ace", "-dash", &"x".repeat(64), "naïve", "nul\0"] {
        refused(create(name, "").await, Code::InvalidArgument, &["name", "a-z"]).context(name.to_owned())?;
    }
    create("twice", "").await?;
    refused(create("twice", "").await, Code::AlreadyExists, &["`twice` exists already", "another name"])?;
    refused(create("new", "resnet-9000").await, Code::NotFound, &["resnet-9000", "efficientnet-lite0"])?;
    create("imagenet", "efficientnet-lite0-imagenet").await?;
    client.get_dataset(GetDatasetRequest { name: "twice".into() }).await.context("the first is as it was")?;

    let long = "x".repeat(1 << 20);
    let found = [("unknown", Code::NotFound, "unknown"), ("a/b", Code::InvalidArgument, "a/b")];
    for (name, code, word) in found.into_iter().chain([(long.as_str(), Code::InvalidArgument, "a-z")]) {
        let words = if code == Code::NotFound { [word, "does not exist"] } else { [word, "a-z"] };
        refused(client.get_dataset(GetDatasetRequest { name: name.into() }).await, code, &words)?;
        refused(client.delete_dataset(DeleteDatasetRequest { name: name.into() }).await, code, &words)?;
        let mut heads = pair.trainer.head_client().await?;
        refused(heads.get_head(GetHeadRequest { name: name.into() }).await, code, &words)?;
        refused(import(&pair.trainer, name, vec![]).await, code, &words)?;
        let input =
            Some(ClassifyInput { input: Some(classify_input::Input::Image(fashion::pixels(1, 1, 1, vec![0]))) });
        let request = ClassifyRequest { head: name.into(), input, top_k: 1, ..Default::default() };
        let mut classifier = pair.trainer.classifier_client().await?;
        refused(classifier.classify(request).await, code, &words)?;
        let options = ClassifyOptions { head: name.into(), top_k: 1, ..Default::default() };
        let message = Some(classify_stream_request::Message::Options(options));
        let stream = tokio_stream::iter([ClassifyStreamRequest { message }]);
        refused(classifier.classify_stream(stream).await, code, &words)?;
        let mut runs = pair.trainer.training_client().await?;
        let request = CreateTrainingRunRequest { dataset: name.into(), ..Default::default() };
        refused(runs.create_training_run(request).await, code, &words)?;
    }
    let mut runs = pair.trainer.training_client().await?;
    let words = ["training run `none` does not exist", "ListTrainingRuns"];
    refused(runs.get_training_run(GetTrainingRunRequest { id: "none".into() }).await, Code::NotFound, &words)?;
    refused(runs.cancel_training_run(CancelTrainingRunRequest { id: "none".into() }).await, Code::NotFound, &words)?;
    refused(runs.watch_training_run(WatchTrainingRunRequest { id: "none".into() }).await, Code::NotFound, &words)?;
    let head = CreateTrainingRunRequest { dataset: "twice".into(), head: "a/b".into(), ..Default::default() };
    refused(runs.create_training_run(head).await, Code::InvalidArgument, &["head", "a/b", "a-z"])?;
    Ok(())
}

#[tokio::test]
async fn bad_examples_are_rejected_one_by_one() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "mixed").await?;
    let whole = photo("coffee.jpg")?;
    let row = &fashion::train()?[0];
    let split = Split::Unspecified;
    let bad: Vec<(_, &[&str])> = vec![
        (
            example("truncated", "x", split, encoded(whole.slice(..whole.len() / 2))),
            &["image.encoded", "JPEG", "whole file"],
        ),
        (example("empty", "x", split, encoded("")), &["image.encoded", "empty"]),
        (example("text.png", "x", split, encoded("just words")), &["image.encoded", "PNG"]),
        (example("bomb", "x", split, encoded(png_of_size(10_000, 10_000))), &["100000000"]),
        (example("783", "x", split, fashion::pixels(28, 28, 1, vec![0; 783])), &["783", "784"]),
        (example("no-label", "", split, row.image()), &["label"]),
        (example("long-label", &"x".repeat(129), split, row.image()), &["label", "128"]),
    ];
    let mut all: Vec<_> = bad.iter().map(|(example, _)| example.clone()).collect();
    all.push(example("photo", "cup", split, encoded(whole)));
    all.push(example("stripes", "cloth", split, encoded(stripes(64, 48, 1, ImageFormat::Jpeg)?)));
    all.push(example("row", "9", split, row.image()));
    all.push(example("row again", "9", split, row.image()));
    all.push(example("row, other label", "8", split, row.image()));
    let outcomes = import(&pair.trainer, "mixed", all.clone()).await?;
    ensure!(outcomes.len() == all.len(), "an outcome for every example");
    let of = |id: &str| outcomes.iter().find(|outcome| outcome.id == id).context(id.to_owned());
    for (example, words) in &bad {
        let outcome = of(&example.id)?;
        ensure!(outcome.outcome() == Outcome::Rejected, "{outcome:?}");
        let error = outcome.error.as_ref().context("why")?;
        mentions(&format!("{} {}", error.field, error.message), words).context(example.id.clone())?;
    }
    for id in ["photo", "stripes", "row"] {
        ensure!(of(id)?.outcome() == Outcome::Stored, "{:?}", of(id)?);
    }
    ensure!(of("row again")?.outcome() == Outcome::AlreadyKnown);
    let conflict = of("row, other label")?;
    ensure!(conflict.outcome() == Outcome::Rejected, "{conflict:?}");
    mentions(&conflict.error.as_ref().context("why")?.message, &["9", "8"])?;
    Ok(())
}

#[tokio::test]
async fn an_import_that_breaks_the_contract_is_told_how() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "d").await?;
    let run = async |messages: Vec<ImportExamplesRequest>| -> Result<(), tonic::Status> {
        let client = pair.trainer.dataset_client().await;
        let mut client = client.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut answers = client.import_examples(tokio_stream::iter(messages)).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    };
    let good = import_messages("d", examples(&fashion::train()?[..1], Split::Train, 0));
    refused(run(good[1..].to_vec()).await, Code::InvalidArgument, &["options", "first"])?;
    refused(run(vec![good[0].clone(), good[0].clone()]).await, Code::InvalidArgument, &["options"])?;
    refused(run(vec![]).await, Code::InvalidArgument, &["options", "first"])?;
    run(good).await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_trained_on_says_what_is_missing() -> Result<()> {
    let pair = Pair::start().await?;
    let mut client = pair.trainer.training_client().await?;
    let mut create = async |dataset: &str, options: TrainingOptions| {
        let request =
            CreateTrainingRunRequest { dataset: dataset.into(), options: Some(options), ..Default::default() };
        client.create_training_run(request).await
    };
    let plain = TrainingOptions::default;
    refused(create("unknown", plain()).await, Code::NotFound, &["dataset `unknown` does not exist"])?;
    create_dataset(&pair.trainer, "empty").await?;
    refused(create("empty", plain()).await, Code::FailedPrecondition, &["`empty` holds no example", "import some"])?;

    let rows = fashion::train()?;
    let of = |label: &'static str| rows.iter().filter(move |row| row.label == label).cloned();
    let nines: Vec<_> = of("9").take(6).collect();
    create_dataset(&pair.trainer, "one-class").await?;
    import(&pair.trainer, "one-class", examples(&nines, Split::Train, 0)).await?;
    refused(create("one-class", plain()).await, Code::FailedPrecondition, &["`one-class`", "`9`", "two or more"])?;

    create_dataset(&pair.trainer, "lonely").await?;
    import(&pair.trainer, "lonely", examples(&nines, Split::Train, 0)).await?;
    import(&pair.trainer, "lonely", examples(&of("2").take(1).collect::<Vec<_>>(), Split::Train, 6)).await?;
    refused(
        create("lonely", plain()).await,
        Code::FailedPrecondition,
        &["`2` of `lonely` has 1 ", "at least 2", "import more"],
    )?;

    create_dataset(&pair.trainer, "good").await?;
    let few: Vec<_> = nines.iter().cloned().chain(of("2").take(6)).collect();
    import(&pair.trainer, "good", examples(&few, Split::Unspecified, 0)).await?;
    for l2 in [0.0, -1.0, 1e7, f64::NAN] {
        let options = TrainingOptions { l2: vec![0.1, l2], ..Default::default() };
        refused(create("good", options).await, Code::InvalidArgument, &["options.l2"])?;
    }
    let many = TrainingOptions { l2: vec![0.1; 65], ..Default::default() };
    refused(create("good", many).await, Code::InvalidArgument, &["options.l2", "64"])?;
    let long = TrainingOptions { max_iterations: 10_001, ..Default::default() };
    refused(create("good", long).await, Code::InvalidArgument, &["options.max_iterations", "10000"])?;
    train(&pair.trainer, "good").await.context("twelve rows of two classes are enough")?;
    Ok(())
}

#[tokio::test]
async fn without_an_extractor_what_needs_none_goes_on() -> Result<()> {
    let mut pair = Pair::start().await?;
    create_dataset(&pair.trainer, "d").await?;
    let rows = fashion::train()?;
    import(&pair.trainer, "d", examples(&rows[..60], Split::Unspecified, 0)).await?;
    pair.extractor.kill();
    let url = pair.extractor.url();
    refused(import(&pair.trainer, "d", examples(&rows[60..70], Split::Train, 0)).await, Code::Unavailable, &[&url])?;
    let known = import(&pair.trainer, "d", examples(&rows[..60], Split::Unspecified, 0)).await?;
    ensure!(known.len() == 60 && known.iter().all(|outcome| outcome.outcome() == Outcome::AlreadyKnown));
    let request = CreateDatasetRequest { name: "new".into(), ..Default::default() };
    refused(pair.trainer.dataset_client().await?.create_dataset(request).await, Code::Unavailable, &[&url])?;
    train(&pair.trainer, "d").await.context("training needs no extractor")?;
    let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(rows[0].image())) });
    let request = ClassifyRequest { head: "d".into(), input, top_k: 1, ..Default::default() };
    let mut classifier = pair.trainer.classifier_client().await?;
    refused(classifier.classify(request.clone()).await, Code::Unavailable, &[&url])?;

    pair.extractor.restart().await?;
    classifier.classify(request).await.context("the trainer finds the extractor again")?;
    let outcomes = import(&pair.trainer, "d", examples(&rows[60..70], Split::Train, 0)).await?;
    ensure!(outcomes.iter().all(|outcome| outcome.outcome() == Outcome::Stored), "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn a_trainer_starts_and_answers_without_an_extractor() -> Result<()> {
    let data = TempDir::new()?;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let trainer = Service::trainer(&nowhere, data.path(), &[]).await?;
    let request = CreateDatasetRequest { name: "d".into(), ..Default::default() };
    refused(trainer.dataset_client().await?.create_dataset(request).await, Code::Unavailable, &[&nowhere])?;
    refused(
        trainer.dataset_client().await?.get_dataset(GetDatasetRequest { name: "d".into() }).await,
        Code::NotFound,
        &["d"],
    )
}
