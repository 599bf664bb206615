//! The trainer's disk is full: what was acknowledged stays and is served, what cannot be kept is refused with the reason, and with
//! room on the disk all goes on.

use std::process::Command;

use anyhow::{Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, Example, GetDatasetRequest, Outcome, Split, classify_input::Input,
};
use graft_tests::{
    calls::{create_dataset, import, import_messages, refused, train},
    made_up::MadeUp,
    services::Service,
};
use tempfile::TempDir;
use tonic::{Code, Status};

/// Room for about 2,600 embeddings.
const SMALL: &str = "size=16m";
const LARGE: &str = "size=128m";
/// Examples that find room, and examples that do not.
const FIRST: usize = 600;
const ALL: usize = 6000;
/// Examples that are tried when there is hardly any room left.
const PIECE: usize = 20;

/// A namespace in which anybody may mount.
const NAMESPACE: [&str; 3] = ["--user", "--map-root-user", "--mount"];

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_told() -> Result<()> {
    if !Command::new("unshare").args(NAMESPACE).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not tested: this system does not let its users mount a small disk");
        return Ok(());
    }
    let (extractor, data) = (Service::extractor(&[]).await?, TempDir::new()?);
    let folder = data.path().display().to_string();
    let mount = format!("mount -t tmpfs -o {SMALL} graft \"$0\" && exec \"$@\"");
    let under = [&["unshare"][..], &NAMESPACE, &["sh", "-c", &mount, &folder]].concat();
    let under = under.into_iter().map(str::to_owned).collect();
    let trainer = Service::trainer_under(under, &extractor.url(), data.path()).await?;

    let made_up = MadeUp::new(&extractor, 3).await?;
    let all: Vec<Example> = (0..ALL).map(|index| made_up.example(index, Split::Unspecified)).collect();
    create_dataset(&trainer, "small").await?;
    let outcomes = import(&trainer, "small", all[..FIRST].to_vec()).await?;
    ensure!(outcomes.iter().filter(|outcome| outcome.outcome() == Outcome::Stored).count() == FIRST);
    train(&trainer, "small").await?;

    let (mut stored, ended) = import_until_refused(&trainer, &all).await?;
    refused(ended, Code::ResourceExhausted, &["disk is full", "free some room"])?;
    ensure!((FIRST..ALL).contains(&stored), "{stored} were acknowledged");
    // To the last byte: what is left after a large file did not fit.
    for piece in all[stored..].chunks(PIECE) {
        let (more, ended) = import_until_refused(&trainer, piece).await?;
        stored += more;
        if ended.is_err() {
            refused(ended, Code::ResourceExhausted, &["disk is full"])?;
            break;
        }
    }
    ensure!(stored < ALL, "the disk is full");
    let held = count(&trainer).await?;
    ensure!(held >= stored, "{stored} were acknowledged, {held} are held");
    classify(&trainer, &made_up).await?;
    ensure!(trainer.http("/readyz").await?.contains("200"), "it serves what it has");

    let process = trainer.process().to_string();
    let enter = ["--target", &process, "--user", "--mount", "--preserve-credentials"];
    let larger = format!("remount,{LARGE}");
    let room = Command::new("nsenter").args(enter).args(["mount", "-o", &larger, &folder]).status()?;
    ensure!(room.success(), "the disk cannot be made larger");
    let outcomes = import(&trainer, "small", all).await?;
    let known = outcomes.iter().filter(|outcome| outcome.outcome() == Outcome::AlreadyKnown).count();
    ensure!(outcomes.len() == ALL && known == held, "{held} were held, {known} are known");
    ensure!(count(&trainer).await? == ALL, "all are stored, without a restart");
    ensure!(train(&trainer, "small").await?.head_version == 2);
    classify(&trainer, &made_up).await
}

/// Import until the trainer ends the stream: how many examples it has by what it said, and how it ended.
async fn import_until_refused(trainer: &Service, all: &[Example]) -> Result<(usize, Result<(), Status>)> {
    let messages = tokio_stream::iter(import_messages("small", all.to_vec()));
    let mut answers = trainer.dataset_client().await?.import_examples(messages).await?.into_inner();
    let mut has = 0;
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let fine = answer.outcomes.iter().filter(|outcome| outcome.outcome() != Outcome::Rejected);
                has += fine.count();
            }
            Ok(None) => return Ok((has, Ok(()))),
            Err(status) => return Ok((has, Err(status))),
        }
    }
}

async fn count(trainer: &Service) -> Result<usize> {
    let request = GetDatasetRequest { name: "small".into() };
    let answer = trainer.dataset_client().await?.get_dataset(request).await?.into_inner();
    Ok(answer.dataset.map_or(0, |dataset| dataset.example_count as usize))
}

async fn classify(trainer: &Service, made_up: &MadeUp) -> Result<()> {
    let input = Some(ClassifyInput { input: Some(Input::Embedding(made_up.embedding(1))) });
    let request = ClassifyRequest { head: "small".into(), input, ..Default::default() };
    let found = trainer.classifier_client().await?.classify(request).await?.into_inner();
    ensure!(found.predictions.first().is_some_and(|first| first.label == made_up.label(1)), "{found:?}");
    Ok(())
}
