//! Clocks that jump, and clocks that differ: whose run it is, what is newest and what is stored do not hang on the time of day.

use std::{collections::HashSet, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, CreateTrainingRunRequest, GetHeadRequest, Outcome, Split, TrainingState,
    WatchTrainingRunRequest, classify_input::Input,
};
use graft_tests::{
    bucket::Bucket,
    calls::{create_dataset, import, import_messages, train},
    made_up::MadeUp,
    postgres::Postgres,
    services::Service,
};
use tempfile::TempDir;

const DAY: i64 = 24 * 3600;
const ROWS: usize = 1500;

/// A clock that can be set, by libfaketime.
struct Clock {
    folder: TempDir,
}

impl Clock {
    fn new() -> Result<Clock> {
        let clock = Clock { folder: TempDir::new()? };
        clock.jump(0)?;
        Ok(clock)
    }

    /// Let it differ from the right time by some days from now on.
    fn jump(&self, days: i64) -> Result<()> {
        self.set(&format!("{days:+}d"))
    }

    /// The same for a time as libfaketime writes it.
    fn set(&self, difference: &str) -> Result<()> {
        let new = self.folder.path().join("new");
        fs::write(&new, difference)?;
        Ok(fs::rename(new, self.file())?)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("time")
    }

    /// What a process needs to go by it.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let text = |path: PathBuf| path.display().to_string();
        let variables = [
            ("LD_PRELOAD", text(library()?)),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_NO_CACHE", "1".into()),
            // A monotonic clock does not jump.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ];
        Ok(variables.map(|(key, value)| (key.to_owned(), value)).to_vec())
    }
}

/// libfaketime, where Debian's package has it.
fn library() -> Result<PathBuf> {
    let places = fs::read_dir("/usr/lib")?.flatten().map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    places.into_iter().find(|path| path.exists()).context("libfaketime is not installed; run `make clock`")
}

/// When a version was written by the clock of its trainer, in days from now.
async fn days_from_now(trainer: &Service, head: &str) -> Result<i64> {
    let request = GetHeadRequest { name: head.into() };
    let head = trainer.head_client().await?.get_head(request).await?.into_inner().head.context("a head")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() as i64;
    Ok((head.create_time.context("a time")?.seconds - now).div_euclid(DAY))
}

async fn answer(trainer: &Service, made_up: &MadeUp, head: &str) -> Result<String> {
    let input = Some(ClassifyInput { input: Some(Input::Embedding(made_up.embedding(2))) });
    let request = ClassifyRequest { head: head.into(), input, ..Default::default() };
    let found = trainer.classifier_client().await?.classify(request).await?.into_inner();
    ensure!(found.predictions.first().is_some_and(|first| first.label == made_up.label(2)), "{found:?}");
    Ok(found.head)
}

#[tokio::test]
async fn a_clock_that_jumps_changes_nothing() -> Result<()> {
    let (extractor, data, clock) = (Service::extractor(&[]).await?, TempDir::new()?, Clock::new()?);
    let flags = ["--data-dir", &data.path().display().to_string()];
    let mut trainer = Service::trainer_in(clock.environment()?, &extractor.url(), &flags).await?;
    let made_up = MadeUp::new(&extractor, 3).await?;
    create_dataset(&trainer, "d").await?;
    let all: Vec<_> = (0..ROWS).map(|index| made_up.example(index, Split::Unspecified)).collect();

    let messages = tokio_stream::iter(import_messages("d", all.clone()));
    let mut answers = trainer.dataset_client().await?.import_examples(messages).await?.into_inner();
    let (mut stored, mut days) = (HashSet::new(), [400, -400].into_iter().cycle());
    while let Some(answer) = answers.message().await? {
        clock.jump(days.next().unwrap_or(0))?;
        ensure!(answer.outcomes.iter().all(|outcome| outcome.outcome() == Outcome::Stored), "{answer:?}");
        stored.extend(answer.outcomes.into_iter().map(|outcome| outcome.id));
    }
    ensure!(stored.len() == ROWS, "{} of {ROWS} were stored", stored.len());

    clock.jump(1000)?;
    ensure!(train(&trainer, "d").await?.head_version == 1);
    clock.jump(-1000)?;
    ensure!(train(&trainer, "d").await?.head_version == 2);
    let (first, second) = (days_from_now(&trainer, "d@1").await?, days_from_now(&trainer, "d@2").await?);
    ensure!(first > 900 && second < -900, "the clock jumped: {first} and {second} days from now");
    ensure!(answer(&trainer, &made_up, "d").await? == "d@2", "the newest is the one with the highest number");

    // While a run is under way.
    let request = CreateTrainingRunRequest { dataset: "d".into(), ..Default::default() };
    let mut client = trainer.training_client().await?;
    let run = client.create_training_run(request).await?.into_inner().training_run.context("a run")?;
    let mut states = client.watch_training_run(WatchTrainingRunRequest { id: run.id }).await?.into_inner();
    let mut last = None;
    while let Some(answer) = states.message().await? {
        clock.jump(days.next().unwrap_or(0))?;
        last = answer.training_run;
    }
    let last = last.context("a run")?;
    ensure!(last.state() == TrainingState::Succeeded && last.head_version == 3, "{last:?}");

    clock.jump(-2000)?;
    trainer.restart().await?;
    ensure!(answer(&trainer, &made_up, "d").await? == "d@3" && answer(&trainer, &made_up, "d@1").await? == "d@1");
    let outcomes = import(&trainer, "d", all).await?;
    ensure!(outcomes.iter().all(|outcome| outcome.outcome() == Outcome::AlreadyKnown), "all is there");
    Ok(())
}

#[tokio::test]
async fn trainers_whose_clocks_differ_share_their_runs() -> Result<()> {
    let (postgres, bucket) = (Postgres::start().await?, Bucket::serve().await?);
    let (database, artifacts) = (postgres.database().await?, format!("{}/graft", bucket.uri()));
    let flags = ["--database-url", &database, "--artifacts", &artifacts];
    let (extractor, clock) = (Service::extractor(&[]).await?, Clock::new()?);
    let right = Service::trainer_in(bucket.environment(), &extractor.url(), &flags).await?;
    let environment = [bucket.environment(), clock.environment()?].concat();
    let ahead = Service::trainer_in(environment, &extractor.url(), &flags).await?;
    // A bucket refuses who is more than a quarter of an hour off.
    clock.set("+10m")?;

    let made_up = MadeUp::new(&extractor, 3).await?;
    create_dataset(&right, "d").await?;
    let all = (0..ROWS).map(|index| made_up.example(index, Split::Unspecified)).collect();
    import(&ahead, "d", all).await?;
    let mut runs = Vec::new();
    for run in 0..6 {
        let through = if run % 2 == 0 { &right } else { &ahead };
        let request = CreateTrainingRunRequest { dataset: "d".into(), ..Default::default() };
        let run = through.training_client().await?.create_training_run(request).await?.into_inner().training_run;
        runs.push(run.context("a run")?.id);
    }
    let mut versions = Vec::new();
    for id in runs {
        let mut states =
            ahead.training_client().await?.watch_training_run(WatchTrainingRunRequest { id }).await?.into_inner();
        let mut last = None;
        while let Some(answer) = states.message().await? {
            last = answer.training_run;
        }
        let last = last.context("a run")?;
        ensure!(last.state() == TrainingState::Succeeded, "{last:?}");
        versions.push(last.head_version);
    }
    versions.sort_unstable();
    ensure!(versions == [1, 2, 3, 4, 5, 6], "each is fitted once: {versions:?}");
    for trainer in [&right, &ahead] {
        ensure!(!trainer.log().contains("taking over"), "none was taken from the other: {}", trainer.log());
        ensure!(answer(trainer, &made_up, "d").await? == "d@6");
    }
    Ok(())
}
