//! The trainer is killed at ten random moments of imports, fits, registrations and promotions: nothing acknowledged is missing, and
//! nothing is half there.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, CreateTrainingRunRequest, GetDatasetRequest, GetHeadRequest, GetTrainingRunRequest,
    ListExamplesRequest, Outcome, PromoteHeadRequest, Split, TrainingState, WatchTrainingRunRequest,
    classify_input::Input,
};
use graft_tests::{
    calls::{create_dataset, import_messages, train},
    made_up::MadeUp,
    services::{Pair, Service},
};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tonic::{Code, Status};

const KILLS: usize = 10;
/// What connecting takes, at the most: a kill within it is no answer of a call.
const FIRST: Duration = Duration::from_millis(100);
/// A kill comes so long after the start, at the most: a few rounds of what is done.
const MOST: Duration = Duration::from_millis(2500);
/// Examples that one import brings.
const EXAMPLES: usize = 300;
const NAME: &str = "d";
const ALIAS: &str = "production";

/// What the trainer has acknowledged.
#[derive(Clone, Debug, Default)]
struct Told {
    /// How many examples were sent so far.
    sent: usize,
    /// The ids of those that were said to be stored.
    stored: HashSet<String>,
    /// Runs that were accepted.
    runs: HashSet<String>,
    /// The version of each run that was said to have succeeded.
    versions: HashMap<String, u32>,
    /// The version that the alias was last said to be on, and the one that it was last asked to be moved to.
    promoted: u32,
    asked: u32,
    /// What was being done.
    doing: &'static str,
}

/// Import, fit and promote, again and again, until the trainer is gone.
async fn work(trainer: &Service, made_up: &MadeUp, told: &Mutex<Told>) -> Result<()> {
    let (mut datasets, mut training) = (trainer.dataset_client().await?, trainer.training_client().await?);
    let mut heads = trainer.head_client().await?;
    loop {
        let first = {
            let mut told = told.lock();
            told.doing = "import";
            told.sent += EXAMPLES;
            told.sent - EXAMPLES
        };
        let some = (first..first + EXAMPLES).map(|index| made_up.example(index, Split::Unspecified)).collect();
        let messages = tokio_stream::iter(import_messages(NAME, some));
        let mut answers = datasets.import_examples(messages).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let fine = answer.outcomes.into_iter().filter(|outcome| outcome.outcome() == Outcome::Stored);
            told.lock().stored.extend(fine.map(|outcome| outcome.id));
        }

        told.lock().doing = "fit";
        let request = CreateTrainingRunRequest { dataset: NAME.into(), ..Default::default() };
        let run = training.create_training_run(request).await?.into_inner().training_run.context("a run")?;
        told.lock().runs.insert(run.id.clone());
        let mut states = training.watch_training_run(WatchTrainingRunRequest { id: run.id }).await?.into_inner();
        let mut last = None;
        while let Some(state) = states.message().await? {
            last = state.training_run;
        }
        let last = last.context("a run")?;
        ensure!(last.state() == TrainingState::Succeeded, "{last:?}");
        let version = last.head_version;
        {
            let mut told = told.lock();
            told.versions.insert(last.id, version);
            told.doing = "promote";
            told.asked = version;
        }
        let request = PromoteHeadRequest {
            head: format!("{NAME}@{version}"),
            alias: ALIAS.into(),
            force: true,
            ..Default::default()
        };
        heads.promote_head(request).await?;
        told.lock().promoted = version;
    }
}

/// Everything that was acknowledged is there, and what is there is whole.
async fn check(trainer: &Service, made_up: &MadeUp, told: &Told) -> Result<()> {
    let held = examples(trainer).await?;
    let missing = told.stored.iter().filter(|id| !held.contains_key(*id)).count();
    ensure!(missing == 0, "{missing} of {} examples are missing", told.stored.len());
    for (id, labels) in &held {
        let index = id.strip_prefix("example ").and_then(|index| index.parse().ok()).context("an id")?;
        ensure!(labels == &[made_up.label(index)], "{id} has {labels:?}");
    }
    let request = GetDatasetRequest { name: NAME.into() };
    let dataset = trainer.dataset_client().await?.get_dataset(request).await?.into_inner().dataset;
    ensure!(dataset.context("a dataset")?.example_count == held.len() as u64);

    let mut training = trainer.training_client().await?;
    for id in &told.runs {
        let run = training.get_training_run(GetTrainingRunRequest { id: id.clone() }).await?.into_inner();
        let run = run.training_run.context("a run")?;
        ensure!(!matches!(run.state(), TrainingState::Failed | TrainingState::Cancelled), "{run:?}");
        if let Some(version) = told.versions.get(id) {
            ensure!(run.state() == TrainingState::Succeeded && run.head_version == *version, "{run:?}");
        }
    }
    for version in told.versions.values() {
        answers(trainer, made_up, &format!("{NAME}@{version}")).await?;
    }
    if told.promoted > 0 {
        let by = answers(trainer, made_up, &format!("{NAME}@{ALIAS}")).await?;
        let fine = [told.promoted, told.asked].map(|version| format!("{NAME}@{version}"));
        ensure!(fine.contains(&by), "{ALIAS} is on {by}; {fine:?} are expected");
    }
    whole(trainer, made_up, told).await
}

/// Versions count from 1 without a gap, and each that is there answers.
async fn whole(trainer: &Service, made_up: &MadeUp, told: &Told) -> Result<()> {
    let most = told.runs.len() as u32 + KILLS as u32;
    let mut ended = false;
    for version in 1..=most {
        let name = format!("{NAME}@{version}");
        match trainer.head_client().await?.get_head(GetHeadRequest { name: name.clone() }).await {
            Ok(answer) => {
                ensure!(!ended, "{name} is there, and one before it is not");
                let head = answer.into_inner().head.context("a head")?;
                ensure!(head.report.is_some() && head.version == version, "{head:?}");
                answers(trainer, made_up, &name).await?;
            }
            Err(status) => {
                ensure!(status.code() == Code::NotFound, "{status:?}");
                ended = true;
            }
        }
    }
    Ok(())
}

/// Which version answers, and it answers rightly.
async fn answers(trainer: &Service, made_up: &MadeUp, head: &str) -> Result<String> {
    let input = Some(ClassifyInput { input: Some(Input::Embedding(made_up.embedding(1))) });
    let request = ClassifyRequest { head: head.into(), input, ..Default::default() };
    let found = trainer.classifier_client().await?.classify(request).await.context(head.to_owned())?.into_inner();
    ensure!(found.predictions.first().is_some_and(|first| first.label == made_up.label(1)), "{found:?}");
    Ok(found.head)
}

/// The labels of each example, by id.
async fn examples(trainer: &Service) -> Result<BTreeMap<String, Vec<String>>> {
    let (mut client, mut held, mut page_token) = (trainer.dataset_client().await?, BTreeMap::new(), String::new());
    loop {
        let request = ListExamplesRequest { dataset: NAME.into(), page_size: 1000, page_token, ..Default::default() };
        let page = client.list_examples(request).await?.into_inner();
        for example in page.examples {
            ensure!(held.insert(example.id.clone(), example.labels).is_none(), "{} is there twice", example.id);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(held);
        }
    }
}

/// The files of each kind are those that rows count: no more, no less.
async fn no_file_is_left_over(data: &Path) -> Result<()> {
    let mut sql = SqliteConnectOptions::new().filename(data.join("graft.db")).connect().await?;
    for (kind, names) in
        [("segments", "SELECT 'segments/' || id || '.safetensors' FROM segments"), ("heads", "SELECT file FROM heads")]
    {
        let counted: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut sql).await?;
        let counted: HashSet<String> = counted.into_iter().collect();
        let entries = fs::read_dir(data.join(kind))?.map(|entry| Ok(format!("{kind}/{}", name_of(&entry?)?)));
        let there: HashSet<String> = entries.collect::<Result<_>>()?;
        ensure!(counted == there, "{kind}: {} are counted, {} are there", counted.len(), there.len());
    }
    Ok(sql.close().await?)
}

fn name_of(entry: &fs::DirEntry) -> Result<String> {
    entry.file_name().into_string().ok().context("a file's name")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_lose_nothing_and_leave_nothing_half() -> Result<()> {
    let mut pair = Pair::start().await?;
    let made_up = MadeUp::new(&pair.extractor, 3).await?;
    create_dataset(&pair.trainer, NAME).await?;
    let (told, chance) = (Mutex::new(Told::default()), RandomState::new());
    let mut hit = Vec::new();
    for kill in 0..KILLS {
        let wait = MOST.mul_f64(chance.hash_one(kill) as f64 / u64::MAX as f64);
        let id = Pid::from_raw(pair.trainer.process().cast_signed()).context("a process's id")?;
        let killer = async {
            tokio::time::sleep(wait).await;
            kill_process(id, Signal::KILL)
        };
        let (worked, killed) = tokio::join!(work(&pair.trainer, &made_up, &told), killer);
        killed?;
        let error = worked.expect_err("work ends only with the trainer");
        ensure!(error.downcast_ref::<Status>().is_some_and(gone) || wait < FIRST, "{error:?}");
        hit.push(format!("{} after {} ms", told.lock().doing, wait.as_millis()));
        pair.trainer.restart().await?;
        let so_far = told.lock().clone();
        check(&pair.trainer, &made_up, &so_far).await.with_context(|| format!("killed during {hit:?}"))?;
    }
    let told = told.lock().clone();
    eprintln!("killed during {hit:?}: {} examples, {} runs", told.stored.len(), told.runs.len());
    ensure!(!told.stored.is_empty() && !told.versions.is_empty() && told.promoted > 0, "too little was done: {told:?}");
    all_end(&pair.trainer, &told).await?;
    train(&pair.trainer, NAME).await.context("every embedding is there")?;
    pair.trainer.restart().await?;
    check(&pair.trainer, &made_up, &told).await?;
    pair.trainer.kill();
    no_file_is_left_over(pair.data.path()).await
}

/// Whether a call ended because the trainer was gone.
fn gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
}

/// Every accepted run ends well.
async fn all_end(trainer: &Service, told: &Told) -> Result<()> {
    let (mut client, begun) = (trainer.training_client().await?, Instant::now());
    for id in &told.runs {
        loop {
            let run = client.get_training_run(GetTrainingRunRequest { id: id.clone() }).await?.into_inner();
            let run = run.training_run.context("a run")?;
            if run.state() == TrainingState::Succeeded {
                break;
            }
            ensure!(begun.elapsed() < Duration::from_secs(120), "{run:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
