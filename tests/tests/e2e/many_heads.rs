//! One input against many heads: several that are named, and every head of a space.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use graft_proto::v1::{
    ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyRequest, ClassifyResponse, ClassifyStreamRequest,
    CreateDatasetRequest, CreateTrainingRunRequest, DeleteHeadRequest, Embedding, EveryHead, ExtractOptions,
    HeadClassification, HeadKind, Image, PromoteHeadRequest, Split, TrainingOptions, TrainingState,
    WatchTrainingRunRequest, classify_input::Input, classify_stream_request::Message, classify_stream_response,
};
use graft_tests::{
    calls::{examples, extract, import, mentions, refused},
    command::{expect, graft_on},
    fashion,
    services::{Pair, Service},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};

/// Fit `head` on `dataset`: its version.
async fn train(trainer: &Service, dataset: &str, head: &str, kind: HeadKind) -> Result<u32> {
    let options = TrainingOptions { head_kind: kind as i32, ..Default::default() };
    let request = CreateTrainingRunRequest {
        dataset: dataset.into(),
        head: head.into(),
        options: Some(options),
        ..Default::default()
    };
    let mut client = trainer.training_client().await?;
    let id = client.create_training_run(request).await?.into_inner().training_run.context("a run")?.id;
    let mut watch = client.watch_training_run(WatchTrainingRunRequest { id }).await?.into_inner();
    let mut last = None;
    while let Some(answer) = watch.message().await? {
        last = answer.training_run;
    }
    let run = last.context("a run")?;
    ensure!(run.state() == TrainingState::Succeeded, "{run:?}");
    Ok(run.head_version)
}

/// A dataset of some rows, embedded by `backbone`.
async fn fill(trainer: &Service, dataset: &str, backbone: &str) -> Result<()> {
    let request = CreateDatasetRequest { name: dataset.into(), backbone: backbone.into(), ..Default::default() };
    trainer.dataset_client().await?.create_dataset(request).await?;
    import(trainer, dataset, examples(&fashion::train()?[..80], Split::Unspecified, 0)).await?;
    Ok(())
}

fn picture() -> Result<Image> {
    Ok(fashion::test()?[0].image())
}

fn named(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|head| (*head).to_owned()).collect()
}

fn every(space: &str, alias: &str) -> Option<EveryHead> {
    Some(EveryHead { space: space.into(), alias: alias.into() })
}

async fn ask(trainer: &Service, request: ClassifyRequest) -> Result<Vec<HeadClassification>, Status> {
    let client = trainer.classifier_client().await.map_err(|error| Status::unavailable(error.to_string()));
    let answer = client?.classify(request).await?.into_inner();
    let ClassifyResponse { predictions, head, classifications, .. } = answer;
    assert!(predictions.is_empty() && head.is_empty(), "the answer of one head is not set");
    Ok(classifications)
}

fn of(image: Image) -> Option<ClassifyInput> {
    Some(ClassifyInput { input: Some(Input::Image(image)) })
}

fn heads(answers: &[HeadClassification]) -> Vec<&str> {
    answers.iter().map(|one| one.head.as_str()).collect()
}

#[tokio::test]
async fn an_image_is_embedded_once_for_all_heads() -> Result<()> {
    let pair = Pair::start().await?;
    let trainer = &pair.trainer;
    fill(trainer, "few", "").await?;
    fill(trainer, "other", "efficientnet-lite0-imagenet").await?;
    for (dataset, head, kind) in [
        ("few", "b", HeadKind::Softmax),
        ("few", "a", HeadKind::Softmax),
        ("few", "a", HeadKind::Lda),
        ("few", "near", HeadKind::Knn),
        ("other", "foreign", HeadKind::Softmax),
    ] {
        train(trainer, dataset, head, kind).await?;
    }
    let one = async |head: &str| {
        let request = ClassifyRequest { head: head.into(), input: of(picture()?), top_k: 2, ..Default::default() };
        Ok::<_, anyhow::Error>(trainer.classifier_client().await?.classify(request).await?.into_inner())
    };
    let alone = [one("a").await?, one("b@1").await?, one("near").await?];

    let embedded = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    let wanted = named(&["a", "foreign", "b@1", "nowhere", "near", "a@1"]);
    let request = ClassifyRequest { heads: wanted, input: of(picture()?), top_k: 2, ..Default::default() };
    let found = ask(trainer, request).await?;
    let now = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(now == embedded + 1.0, "embedded {embedded} before and {now} after");
    ensure!(heads(&found) == ["a@2", "foreign", "b@1", "nowhere", "near@1", "a@1"], "{found:?}");
    for (alone, together) in alone.iter().zip([&found[0], &found[2], &found[4]]) {
        ensure!(alone.head == together.head && alone.predictions.len() == 2 && together.predictions.len() == 2);
        for (a, b) in alone.predictions.iter().zip(&together.predictions) {
            ensure!(a.label == b.label && (a.probability - b.probability).abs() < 1e-5, "{a:?} {b:?}");
        }
    }
    let foreign = found[1].error.as_ref().context("a head of another space cannot answer")?;
    ensure!(foreign.code == Code::FailedPrecondition as i32);
    mentions(&foreign.message, &["efficientnet-lite0@", "efficientnet-lite0-imagenet@", "foreign@1"])?;
    ensure!(found[3].error.as_ref().is_some_and(|error| error.code == Code::NotFound as i32), "{found:?}");

    let everyone = async |space: &str, alias: &str| {
        let request = ClassifyRequest { every_head: every(space, alias), input: of(picture()?), ..Default::default() };
        Ok::<_, anyhow::Error>(ask(trainer, request).await?)
    };
    let space = foreign.message.split('`').nth(1).context("a space")?.to_owned();
    for of_space in ["", "efficientnet-lite0", &space] {
        let found = everyone(of_space, "").await?;
        ensure!(heads(&found) == ["a@2", "b@1", "near@1"], "{found:?}");
        ensure!(found.iter().all(|one| one.error.is_none() && one.predictions.len() == 1), "one class unless told");
    }
    ensure!(heads(&everyone("efficientnet-lite0-imagenet", "").await?) == ["foreign@1"]);
    for head in ["a@1", "near@1"] {
        let (head, alias) = (head.to_owned(), "champion".to_owned());
        let request = PromoteHeadRequest { head, alias, force: true, ..Default::default() };
        trainer.head_client().await?.promote_head(request).await?;
    }
    ensure!(heads(&everyone("", "champion").await?) == ["a@1", "near@1"], "a moved alias is seen at once here");

    let options = ExtractOptions { space: space.clone(), ..Default::default() };
    let row = extract(&pair.extractor, options, vec![("x".into(), picture()?)]).await?;
    let row = row["x"].as_ref().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let data: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
    let embedding = |space: &str, data: &[u8]| {
        let embedding = Embedding { space: space.into(), data: data.to_vec().into(), ..Default::default() };
        Some(ClassifyInput { input: Some(Input::Embedding(embedding)) })
    };
    let request = |input, every_head| ClassifyRequest { input, every_head, ..Default::default() };
    let found = ask(trainer, request(embedding(&space, &data), every(&space, ""))).await?;
    ensure!(heads(&found) == ["a@2", "b@1", "near@1"], "{found:?}");
    let foreign = ask(trainer, request(embedding("net@0", &data), every(&space, ""))).await;
    refused(foreign, Code::FailedPrecondition, &["net@0", &space])?;
    let short = ask(trainer, request(embedding(&space, &data[4..]), every(&space, ""))).await;
    refused(short, Code::InvalidArgument, &["1279", "1280"])
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() -> Result<()> {
    let pair = Pair::start().await?;
    let trainer = &pair.trainer;
    fill(trainer, "few", "").await?;
    train(trainer, "few", "a", HeadKind::Softmax).await?;
    let ask = async |request: ClassifyRequest| {
        ask(trainer, ClassifyRequest { input: of(picture().unwrap()), ..request }).await
    };
    let default = ClassifyRequest::default;
    let both = ClassifyRequest { head: "a".into(), heads: named(&["a"]), ..default() };
    refused(ask(both).await, Code::InvalidArgument, &["exactly one of head, heads and every_head"])?;
    let both = ClassifyRequest { heads: named(&["a"]), every_head: every("", ""), ..default() };
    refused(ask(both).await, Code::InvalidArgument, &["exactly one of"])?;
    refused(ask(default()).await, Code::InvalidArgument, &["head"])?;
    let many = ClassifyRequest { heads: vec!["a".into(); 1001], ..default() };
    refused(ask(many).await, Code::InvalidArgument, &["heads", "1001", "1000"])?;
    let bad = ClassifyRequest { heads: named(&["a", "A/b"]), ..default() };
    refused(ask(bad).await, Code::InvalidArgument, &["heads", "A/b"])?;
    let gone = ClassifyRequest { heads: named(&["nowhere", "neither@3"]), ..default() };
    refused(ask(gone).await, Code::NotFound, &["nowhere"])?;
    for (space, alias, code, word) in [
        ("net@0", "", Code::NotFound, "net@0"),
        ("resnet-9000", "", Code::NotFound, "resnet-9000"),
        ("", "champion", Code::NotFound, "champion"),
        ("", "7", Code::InvalidArgument, "every_head.alias"),
        (&"x".repeat(1 << 16), "", Code::InvalidArgument, "every_head.space"),
    ] {
        let request = ClassifyRequest { every_head: every(space, alias), ..default() };
        refused(ask(request).await, code, &[word]).with_context(|| format!("{space:.20} {alias}"))?;
    }
    // The same head a thousand times, each with a hundred classes and one.
    let large = |top_k| ClassifyRequest { heads: vec!["a".into(); 1000], top_k, ..default() };
    refused(
        ask(large(101)).await,
        Code::InvalidArgument,
        &["top_k", "101 classes of each of 1000 heads", "at most 100"],
    )?;
    ensure!(ask(large(100)).await?.len() == 1000);
    let unknown = ClassifyRequest { top_k: 1001, ..large(0) };
    refused(ask(unknown).await, Code::InvalidArgument, &["top_k", "1000"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_changes_meanwhile_spoils_nothing() -> Result<()> {
    let pair = Pair::start().await?;
    let trainer = &pair.trainer;
    fill(trainer, "few", "").await?;
    for head in ["stays", "moves"] {
        train(trainer, "few", head, HeadKind::Lda).await?;
    }
    let asking = async {
        let mut newest = 0;
        for round in 0.. {
            let request = match round % 3 {
                0 => ClassifyRequest { every_head: every("", ""), ..Default::default() },
                1 => ClassifyRequest { heads: named(&["moves", "stays"]), ..Default::default() },
                _ => ClassifyRequest { heads: named(&["stays"]), ..Default::default() },
            };
            let found = ask(trainer, ClassifyRequest { input: of(picture()?), ..request }).await?;
            ensure!(found.iter().any(|one| one.head == "stays@1" && one.error.is_none()), "{found:?}");
            for one in found.iter().filter(|one| one.head != "stays@1") {
                ensure!(one.error.is_none(), "no answer is missing: {one:?}");
                let version: u32 = one.head.rsplit('@').next().context("a version")?.parse()?;
                ensure!(version >= newest, "{version} after {newest}");
                newest = version;
            }
            if newest == 6 {
                break;
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    let changing = async {
        for _ in 0..5 {
            let version = train(trainer, "few", "moves", HeadKind::Lda).await?;
            let old = DeleteHeadRequest { name: format!("moves@{}", version - 1) };
            trainer.head_client().await?.delete_head(old).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let both = async { tokio::try_join!(asking, changing) };
    tokio::time::timeout(std::time::Duration::from_secs(120), both).await??;
    Ok(())
}

#[tokio::test]
async fn a_stream_follows_the_heads_that_it_asks() -> Result<()> {
    let pair = Pair::start().await?;
    let trainer = &pair.trainer;
    fill(trainer, "few", "").await?;
    for head in ["a", "b"] {
        train(trainer, "few", head, HeadKind::Lda).await?;
    }
    let (requests, receiver) = mpsc::unbounded_channel();
    let options = ClassifyOptions { heads: named(&["a", "b"]), ..Default::default() };
    requests.send(ClassifyStreamRequest { message: Some(Message::Options(options)) })?;
    let mut client = trainer.classifier_client().await?;
    let mut answers = client.classify_stream(UnboundedReceiverStream::new(receiver)).await?.into_inner();
    let rows = fashion::test()?;
    let mut ask_all = async |from: usize, count: usize| {
        for (index, row) in rows[from..from + count].iter().enumerate() {
            let item = ClassifyItem { id: index.to_string(), input: of(row.image()), ..Default::default() };
            requests.send(ClassifyStreamRequest { message: Some(Message::Item(item)) })?;
        }
        let mut found = Vec::new();
        while found.len() < count {
            let answer = answers.message().await?.context("the stream ended")?;
            match answer.result.context("an answer holds something")? {
                classify_stream_response::Result::Classification(one) => found.push(one.classifications),
                classify_stream_response::Result::Error(error) => anyhow::bail!("{error:?}"),
            }
        }
        Ok(found)
    };
    let found = ask_all(0, 100).await?;
    ensure!(found.iter().all(|answer| heads(answer) == ["a@1", "b@1"]), "each input has the answers of all heads");
    train(trainer, "few", "a", HeadKind::Lda).await?;
    ensure!(ask_all(100, 3).await?.iter().all(|answer| heads(answer) == ["a@2", "b@1"]), "a new version answers");
    trainer.head_client().await?.delete_head(DeleteHeadRequest { name: "b".into() }).await?;
    for answer in ask_all(200, 3).await? {
        let code = answer[1].error.as_ref().map(|error| error.code);
        ensure!(answer[0].error.is_none() && code == Some(Code::NotFound as i32), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn heads_that_do_not_fit_the_memory_are_refused_together_and_served_alone() -> Result<()> {
    let mut pair = Pair::start().await?;
    fill(&pair.trainer, "few", "").await?;
    // Each keeps all examples: some 400 kB.
    for head in ["a", "b", "c", "d"] {
        train(&pair.trainer, "few", head, HeadKind::Knn).await?;
    }
    pair.trainer.stop().await?;
    let trainer = Service::trainer(&pair.extractor.url(), pair.data.path(), &["--head-cache-mib", "1"]).await?;
    let request =
        |heads: &[&str]| ClassifyRequest { heads: named(heads), input: of(picture().unwrap()), ..Default::default() };
    let all = ClassifyRequest { every_head: every("", ""), ..request(&[]) };
    refused(ask(&trainer, all).await, Code::FailedPrecondition, &["4 heads take 2 MiB", "--head-cache-mib"])?;
    let (first, second) = (request(&["a", "b"]), request(&["c", "d"]));
    for answers in try_join_all([first, second].map(|request| ask(&trainer, request))).await? {
        ensure!(answers.len() == 2 && answers.iter().all(|one| one.error.is_none()), "{answers:?}");
    }
    let ready = trainer.metric("graft_trainer_heads_ready", "").await?;
    ensure!((2.0..4.0).contains(&ready), "the others made room: {ready}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_asks_several_heads_or_every() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    fill(&pair.trainer, "few", "").await?;
    for head in ["a", "b"] {
        train(&pair.trainer, "few", head, HeadKind::Lda).await?;
    }
    let path = folder.path().join("rows.csv").to_string_lossy().into_owned();
    std::fs::write(&path, fashion::csv(&fashion::test()?[..2]))?;
    let run = |arguments: &[&str]| graft_on(&pair, &[&["classify"], arguments].concat());
    let text = expect(run(&["--head", "a", "--head", "b@1", "--rows", &path])?, 0, &["head", "predicted"])?;
    ensure!(text.lines().count() == 5 && text.contains("b@1"), "{text}");
    let json = expect(run(&["--every-head-of", "efficientnet-lite0", "--rows", &path, "--output", "json"])?, 0, &[])?;
    let found: Value = serde_json::from_str(&json)?;
    ensure!(found[1]["classifications"][1]["head"] == "b@1", "{found}");
    ensure!(found[0]["classifications"][0]["predictions"].as_array().is_some_and(|p| p.len() == 1), "{found}");
    let photo = graft_tests::services::root().join("tests/data/reference/images/coffee.jpg");
    let photo = photo.to_string_lossy();
    expect(run(&["--head", "a", "--head", "nowhere", &photo])?, 4, &["coffee.jpg", "a@1", "does not exist"])?;
    expect(run(&["--every-head-of", "", "--alias", "champion", &photo])?, 1, &["champion"])?;
    expect(run(&["--head", "a", "--every-head-of", "", &photo])?, 2, &["cannot be used with"])?;
    expect(run(&["--head", "a"])?, 2, &["nothing to classify", "--files-from"])?;
    expect(run(&["--alias", "champion", "a", &photo])?, 2, &["--every-head-of"])?;
    Ok(())
}
