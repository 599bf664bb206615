//! A head was wrong: what is right is said once, kept with its dataset, and learnt by the next run.

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, CorrectRequest, CorrectResponse, CorrectionEffect, DType, DeleteDatasetRequest, Embedding,
    GetDatasetRequest, GetHeadRequest, Image, ListCorrectionsRequest, Split, classify_input,
};
use graft_tests::{
    calls::{create_dataset, examples, import, refused, train},
    command::{expect, graft},
    fashion,
    pictures::stripes,
    services::{Pair, Service},
};
use image::ImageFormat;
use tempfile::TempDir;
use tonic::{Code, Status};

fn request(id: &str, image: Image, label: &str) -> CorrectRequest {
    let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) });
    CorrectRequest { head: "f".into(), id: id.into(), input, labels: vec![label.into()], ..Default::default() }
}

async fn correct(trainer: &Service, request: CorrectRequest) -> Result<CorrectResponse, Status> {
    let client = trainer.feedback_client().await;
    let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client.correct(request).await?.into_inner())
}

async fn count(trainer: &Service) -> Result<(u64, u64)> {
    let request = GetDatasetRequest { name: "f".into() };
    let dataset = trainer.dataset_client().await?.get_dataset(request).await?.into_inner().dataset;
    let dataset = dataset.context("a dataset")?;
    Ok((dataset.example_count, dataset.unlabelled_count))
}

/// A head `f` of 160 rows, 40 of them to measure on, and 10 rows that wait for a label.
async fn fitted() -> Result<Pair> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "f").await?;
    let mut all = examples(&fashion::train()?[..120], Split::Train, 0);
    all.extend(examples(&fashion::test()?[..40], Split::Test, 120));
    all.extend(examples(&fashion::train()?[300..310], Split::Unlabelled, 300).into_iter().map(|mut example| {
        example.label.clear();
        example
    }));
    import(&pair.trainer, "f", all).await?;
    train(&pair.trainer, "f").await?;
    Ok(pair)
}

#[tokio::test]
async fn a_correction_is_kept_once_and_learnt_by_the_next_run() -> Result<()> {
    let pair = fitted().await?;
    let (trainer, rows) = (&pair.trainer, fashion::train()?);
    let new = CorrectRequest { predicted: vec!["3".into()], ..request("mine.png", rows[200].image(), "7") };
    let answer = correct(trainer, new.clone()).await?;
    let example = answer.example.clone().context("an example")?;
    ensure!(answer.head == "f@1" && answer.dataset == "f" && !answer.held_out, "{answer:?}");
    ensure!(answer.effect() == CorrectionEffect::Added && example.split() == Split::Train, "{answer:?}");
    ensure!(example.id == "mine.png" && example.labels == ["7"], "{example:?}");
    let again = correct(trainer, new).await?;
    ensure!(again.effect() == CorrectionEffect::Unchanged && again.example == answer.example, "{again:?}");
    ensure!(count(trainer).await? == (161, 10), "one correction is one example");
    ensure!(trainer.metric("graft_trainer_corrections_total", "").await? == 1.0, "and is counted once");

    // One that the dataset holds is relabelled where it is; one of the test split stays there and is said to.
    let held = correct(trainer, request("x", fashion::test()?[0].image(), "new label")).await?;
    ensure!(held.held_out && held.effect() == CorrectionEffect::Relabelled, "{held:?}");
    ensure!(held.example.as_ref().is_some_and(|e| e.split() == Split::Test && e.labels == ["new label"]), "{held:?}");
    let told = CorrectRequest { split: Split::Test as i32, ..request("x", rows[5].image(), "8") };
    let told = correct(trainer, told).await?;
    ensure!(!told.held_out, "what was fitted on is not moved to where it is measured on: {told:?}");
    let waited = correct(trainer, request("x", rows[300].image(), "8")).await?;
    ensure!(waited.effect() == CorrectionEffect::Relabelled && count(trainer).await? == (162, 9), "{waited:?}");
    ensure!(waited.example.is_some_and(|e| e.split() == Split::Train && e.id == "row-300"), "it keeps its id");
    // Back to a class of more than one example.
    correct(trainer, request("x", fashion::test()?[0].image(), &fashion::test()?[0].label)).await?;

    let mut client = trainer.feedback_client().await?;
    let page = ListCorrectionsRequest { head: "f@1".into(), page_size: 3, ..Default::default() };
    let first = client.list_corrections(page.clone()).await?.into_inner();
    ensure!(first.correction_count == 4 && first.corrections.len() == 3, "an answer has one correction: {first:?}");
    let rest = client.list_corrections(ListCorrectionsRequest { page_token: first.next_page_token, ..page }).await?;
    let rest = rest.into_inner();
    let [oldest] = &rest.corrections[..] else { anyhow::bail!("one is left: {rest:?}") };
    ensure!(oldest.predicted == ["3"] && oldest.labels == ["7"] && oldest.hash == example.hash, "{oldest:?}");
    ensure!(oldest.head == "f@1" && rest.next_page_token.is_empty(), "{rest:?}");
    let other = ListCorrectionsRequest { head: "f@2".into(), ..Default::default() };
    ensure!(client.list_corrections(other).await?.into_inner().correction_count == 0, "another version has none");

    train(trainer, "f").await?;
    let head = trainer.head_client().await?.get_head(GetHeadRequest { name: "f".into() }).await?.into_inner().head;
    let report = head.and_then(|head| head.report).context("a report")?;
    ensure!(report.train_count == 122 && report.test_count == 40, "the next run has them: {report:?}");
    Ok(())
}

#[tokio::test]
async fn an_embedding_is_corrected_as_such_and_what_is_wrong_is_named() -> Result<()> {
    let pair = fitted().await?;
    let trainer = &pair.trainer;
    let head = trainer.head_client().await?.get_head(GetHeadRequest { name: "f".into() }).await?.into_inner().head;
    let space = head.context("a head")?.space;
    let embedding = |space: &str, numbers: usize| {
        let data: Vec<u8> = (0..numbers).flat_map(|n| (n as f32 / 1280.0).to_le_bytes()).collect();
        let embedding = Embedding { space: space.into(), dtype: DType::F32 as i32, data: data.into() };
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Embedding(embedding)) });
        CorrectRequest { input, ..request("by hand", Image::default(), "3") }
    };
    let answer = correct(trainer, embedding(&space, 1280)).await?;
    ensure!(answer.effect() == CorrectionEffect::Added, "{answer:?}");
    let again = correct(trainer, embedding(&space, 1280)).await?;
    ensure!(again.effect() == CorrectionEffect::Unchanged && count(trainer).await?.0 == 161, "{again:?}");
    train(trainer, "f").await.context("it is fitted on like any other")?;

    let row = fashion::train()?[0].image();
    let fine = request("a", row.clone(), "3");
    for (bad, code, words) in [
        (embedding("other@0", 1280), Code::FailedPrecondition, &["other@0"][..]),
        (embedding(&space, 1279), Code::InvalidArgument, &["1279"]),
        (CorrectRequest { head: "nobody".into(), ..fine.clone() }, Code::NotFound, &["nobody"]),
        (CorrectRequest { head: "f@9".into(), ..fine.clone() }, Code::NotFound, &["f@9"]),
        (CorrectRequest { id: String::new(), ..fine.clone() }, Code::InvalidArgument, &["id"]),
        (CorrectRequest { labels: vec![], ..fine.clone() }, Code::InvalidArgument, &["labels", "exactly one"]),
        (CorrectRequest { labels: vec!["x".repeat(129)], ..fine.clone() }, Code::InvalidArgument, &["labels", "128"]),
        (CorrectRequest { predicted: vec!["x".into(); 101], ..fine.clone() }, Code::InvalidArgument, &["101"]),
        (CorrectRequest { split: 4, ..fine.clone() }, Code::InvalidArgument, &["split", "SPLIT_TEST"]),
        (CorrectRequest { input: None, ..fine.clone() }, Code::InvalidArgument, &["input"]),
        (request("a", fashion::pixels(28, 28, 1, vec![0; 783]), "3"), Code::InvalidArgument, &["783"]),
    ] {
        refused(correct(trainer, bad).await, code, words)?;
    }
    let request = DeleteDatasetRequest { name: "f".into() };
    trainer.dataset_client().await?.delete_dataset(request).await?;
    refused(correct(trainer, fine).await, Code::FailedPrecondition, &["f@2", "not there"])
}

#[tokio::test]
async fn the_command_corrects_files_and_lists_what_was_corrected() -> Result<()> {
    let pair = fitted().await?;
    let folder = TempDir::new()?;
    let file = folder.path().join("a.png");
    std::fs::write(&file, stripes(40, 30, 1, ImageFormat::Png)?)?;
    let file = file.to_string_lossy().into_owned();
    let run = |arguments: &[&str]| graft(&pair.trainer.url(), &pair.extractor.url(), arguments);
    expect(run(&["correct", "f", &file, "--label", "striped", "--predicted", "3"])?, 0, &["f@1", "added", "train"])?;
    expect(run(&["correct", "f", &file, "--label", "striped", "--predicted", "3"])?, 0, &["known already"])?;
    expect(run(&["correct", "f", &file, "/nowhere.png", "--label", "striped"])?, 4, &["nowhere.png", "rejected"])?;
    expect(run(&["corrections", "f"])?, 0, &["f@1", "striped", "1 of 1"])?;
    let listed: serde_json::Value = serde_json::from_str(&expect(run(&["corrections", "--output", "json"])?, 0, &[])?)?;
    ensure!(listed["count"] == 1 && listed["corrections"][0]["labels"][0] == "striped", "{listed}");
    expect(run(&["dataset", "show", "f"])?, 0, &["161 examples", "10 more wait for a label"])?;
    expect(run(&["dataset", "examples", "f", "--unlabelled"])?, 0, &["row-300", "unlabelled"])?;

    // A folder of pictures without labels: they need no folders of classes.
    expect(run(&["import", "f", &folder.path().to_string_lossy(), "--unlabelled"])?, 0, &["already known 1"])?;
    expect(run(&["import", "g", &folder.path().to_string_lossy(), "--unlabelled"])?, 0, &["stored 1"])?;
    expect(run(&["dataset", "show", "g"])?, 0, &["0 examples", "1 more wait"])?;
    expect(run(&["suggest", "g", "--head", "f", "--ids"])?, 0, &["a.png"])?;
    expect(run(&["train", "g"])?, 1, &["no example"])?;
    Ok(())
}
