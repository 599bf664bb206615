//! The Rust client against real services: whole programs, and streams that outlive the service.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use graft_client::{
    Graft, embeddings, export_head, extract, import, import_head,
    proto::{ExtractItem, ExtractOptions, ImportHeadOptions, ImportOptions, Outcome, Split, TrainingState},
    wait_for,
};
use graft_tests::{
    calls::{create_dataset, examples, mentions, refused},
    fashion,
    pictures::stripes,
    services::{Pair, binaries},
};
use image::ImageFormat;
use tempfile::TempDir;
use tonic::Code;

fn client(pair: &Pair) -> Result<Graft> {
    Ok(Graft::new(&pair.trainer.url(), &pair.extractor.url())?)
}

/// Run an example as a person does, and give what it says.
fn example(name: &str, pair: &Pair, arguments: &[&str]) -> Result<String> {
    let program = binaries().join("examples").join(name);
    let mut command = std::process::Command::new(&program);
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command.args(arguments).env("GRAFT_TRAINER", pair.trainer.url()).env("GRAFT_EXTRACTOR", pair.extractor.url());
    let output = command.output().with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_do_what_they_say() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    for (class, seed) in [("wide", 1), ("narrow", 8)] {
        fs::create_dir(folder.path().join(class))?;
        for index in 0..12 {
            let picture = stripes(60 + index, 48, seed + 17 * index, ImageFormat::Png)?;
            fs::write(folder.path().join(class).join(format!("{index}.png")), picture)?;
        }
    }
    let photos = folder.path().to_string_lossy().into_owned();
    let said = example("train", &pair, &["stripes", &photos])?;
    mentions(&said, &["24 examples in stripes", "fitted stripes@1", "narrow/3.png: narrow"])?;
    let photo = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    mentions(&example("many_heads", &pair, &[&photo("wide/0.png")])?, &["stripes@1: "])?;
    let said = example("embed", &pair, &[&photo("wide/0.png"), &photo("narrow/0.png"), &photo("wide/0.png")])?;
    mentions(&said, &["efficientnet-lite0@", "1280 numbers", "a cosine of 1.000"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_images_outlives_the_extractor() -> Result<()> {
    let mut pair = Pair::start().await?;
    let graft = client(&pair)?;
    let rows = fashion::train()?;
    let item = |index: usize| ExtractItem {
        id: index.to_string(),
        image: Some(rows[index].image()),
        ..ExtractItem::default()
    };
    let items: Vec<ExtractItem> = (0..600).map(item).collect();
    let extraction = extract(&graft.extractor, ExtractOptions::default(), futures::stream::iter(items)).await?;
    let mut replies = extraction.embeddings;
    let mut seen = BTreeSet::new();
    while let Some(reply) = replies.try_next().await? {
        ensure!(reply.result.is_ok_and(|embedding| embedding.len() == 1280), "{}", reply.id);
        ensure!(seen.insert(reply.id.clone()), "{} came twice", reply.id);
        if seen.len() == 100 {
            pair.extractor.restart().await?;
        }
    }
    ensure!(seen.len() == 600, "{} of 600", seen.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_outlives_the_trainer_and_the_rest_goes_its_way() -> Result<()> {
    let mut pair = Pair::start().await?;
    let graft = client(&pair)?;
    create_dataset(&pair.trainer, "clothes").await?;
    let rows = fashion::train()?;
    let all = examples(&rows[..600], Split::Unspecified, 0);
    let options = ImportOptions { dataset: "clothes".into(), augmentation: None };
    let mut outcomes = import(&graft.trainer, options, futures::stream::iter(all)).await?;
    let mut seen = BTreeSet::new();
    while let Some(outcome) = outcomes.try_next().await? {
        ensure!(matches!(outcome.outcome(), Outcome::Stored | Outcome::AlreadyKnown), "{outcome:?}");
        ensure!(seen.insert(outcome.id.clone()), "{} came twice", outcome.id);
        if seen.len() == 1 {
            pair.trainer.restart().await?;
        }
    }
    ensure!(seen.len() == 600, "{} of 600", seen.len());

    // A run is followed, though the trainer is started again meanwhile.
    let request = graft_client::proto::CreateTrainingRunRequest { dataset: "clothes".into(), ..Default::default() };
    let run =
        graft.trainer.training().create_training_run(request).await?.into_inner().training_run.context("a run")?;
    let (trainer, id) = (graft.trainer.clone(), run.id.clone());
    let waiting = tokio::spawn(async move { wait_for(&trainer, &id).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    pair.trainer.restart().await?;
    let run = waiting.await??;
    ensure!(run.state() == TrainingState::Succeeded, "{run:?}");

    // Out and in again, and the embeddings that it was fitted on.
    let file = export_head(&graft.trainer, "clothes").await?;
    let (size, mut bytes) = (file.size, Vec::new());
    let head = file.write_to(&mut bytes).await?;
    ensure!(head.name == "clothes" && bytes.len() as u64 == size);
    let options = ImportHeadOptions { name: "copy".into(), ..ImportHeadOptions::default() };
    let copy = import_head(&graft.trainer, options, futures::stream::iter([bytes.into()])).await?;
    ensure!(copy.labels == head.labels && copy.version == 1, "{copy:?}");
    let download = embeddings(&graft.trainer, "clothes", "", Split::Unspecified).await?;
    ensure!(download.dataset.row_count == 600 && download.dataset.dimension == 1280);
    let rows: Vec<_> = download.rows.try_collect().await?;
    ensure!(rows.len() == 600 && rows.iter().all(|row| row.embedding.len() == 1280));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_not_tried_again() -> Result<()> {
    let pair = Pair::start().await?;
    let graft = client(&pair)?;
    let options = ExtractOptions { backbone: "resnet-9000".into(), ..ExtractOptions::default() };
    let refused_whole = extract(&graft.extractor, options, futures::stream::empty()).await;
    mentions(&refused_whole.err().context("an error")?.to_string(), &["resnet-9000"])?;
    let bad = ExtractItem { id: "x".repeat(300), ..ExtractItem::default() };
    let items = futures::stream::iter([bad]);
    let extraction = extract(&graft.extractor, ExtractOptions::default(), items).await?;
    let replies: Vec<_> = extraction.embeddings.collect().await;
    let [Ok(reply)] = replies.as_slice() else { anyhow::bail!("one reply: {replies:?}") };
    let error = reply.result.as_ref().err().context("an error")?;
    ensure!(reply.id.len() == 300 && error.field == "id" && error.code == Code::InvalidArgument as i32, "{error:?}");
    let missing = graft.trainer.heads().get_head(graft_client::proto::GetHeadRequest { name: "none".into() }).await;
    refused(missing, Code::NotFound, &["none"])?;
    Ok(())
}
