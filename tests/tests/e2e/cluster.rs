//! Two trainers on one PostgreSQL and one bucket: through kills, restarts and refusals, nothing acknowledged is lost and
//! nothing is half there.

use std::{
    collections::HashSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    CancelTrainingRunRequest, CreateTrainingRunRequest, EvidenceOptions, Example, ExampleOutcome, Gather,
    GetDatasetRequest, GetTrainingRunRequest, HeadKind, ListHeadsRequest, Outcome, Split, TrainingOptions, TrainingRun,
    TrainingState, WatchTrainingRunRequest,
};
use graft_tests::{
    bucket::Bucket,
    calls::{create_dataset, examples, import, import_messages, mentions, train},
    fashion,
    postgres::Postgres,
    services::Service,
};
use tonic::Code;

/// What a test may wait for, at the most.
const WITHIN: Duration = Duration::from_secs(120);

/// Enough for a fit of some ten seconds.
const ROWS: usize = 1200;

/// Everything that a cluster is of.
struct Cluster {
    trainers: Vec<Service>,
    extractor: Service,
    postgres: Postgres,
    bucket: Bucket,
}

impl Cluster {
    async fn start(trainers: usize) -> Result<Cluster> {
        let (postgres, bucket) = (Postgres::start().await?, Bucket::serve().await?);
        let (database, artifacts) = (postgres.database().await?, format!("{}/graft", bucket.uri()));
        let extractor = Service::extractor(&[]).await?;
        let flags = ["--database-url", &database, "--artifacts", &artifacts];
        let url = extractor.url();
        let start = || Service::trainer_in(bucket.environment(), &url, &flags);
        let trainers = futures::future::try_join_all((0..trainers).map(|_| start())).await?;
        Ok(Cluster { trainers, extractor, postgres, bucket })
    }

    /// A dataset of the first rows.
    async fn fill(&self, dataset: &str, rows: usize) -> Result<()> {
        create_dataset(&self.trainers[0], dataset).await?;
        let outcomes = import(&self.trainers[0], dataset, some(rows)?).await?;
        ensure!(outcomes.iter().all(|outcome| outcome.outcome() == Outcome::Stored), "{outcomes:?}");
        Ok(())
    }

    /// Begin a run that takes a while through the first trainer, and wait until it is being fitted: its id, and by which.
    async fn busy(&self, dataset: &str) -> Result<(String, usize)> {
        let always = Gather::Always as i32;
        let evidence = EvidenceOptions { label_errors: always, learning_curve: always };
        let options =
            TrainingOptions { head_kind: HeadKind::Mlp as i32, evidence: Some(evidence), ..Default::default() };
        let request =
            CreateTrainingRunRequest { dataset: dataset.into(), options: Some(options), ..Default::default() };
        let mut client = self.trainers[0].training_client().await?;
        let run = client.create_training_run(request).await?.into_inner().training_run.context("a run")?;
        let begun = Instant::now();
        while begun.elapsed() < WITHIN {
            let run = get(&self.trainers[0], &run.id).await?;
            ensure!(matches!(run.state(), TrainingState::Queued | TrainingState::Running), "{run:?}");
            if run.progress.is_some_and(|progress| progress.fraction > 0.0) {
                let fits = |line: &str| line.contains("fitting a run") && line.contains(&run.id);
                let by = self.trainers.iter().position(|trainer| trainer.log().lines().any(fits));
                return Ok((run.id, by.context("one of the trainers fits it")?));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the run was not begun: {}", self.trainers[0].log())
    }
}

/// The first rows as examples.
fn some(rows: usize) -> Result<Vec<Example>> {
    Ok(examples(&fashion::train()?[..rows], Split::Train, 0))
}

async fn get(trainer: &Service, id: &str) -> Result<TrainingRun> {
    let request = GetTrainingRunRequest { id: id.into() };
    let answer = trainer.training_client().await?.get_training_run(request).await?;
    answer.into_inner().training_run.context("a run")
}

/// Watch a run through a trainer until it ends: how it ended, and how many states were told.
async fn watch(trainer: &Service, id: &str) -> Result<(TrainingRun, usize)> {
    let request = WatchTrainingRunRequest { id: id.into() };
    let mut states = trainer.training_client().await?.watch_training_run(request).await?.into_inner();
    let (mut last, mut told) = (None, 0);
    while let Some(answer) = states.message().await? {
        (last, told) = (answer.training_run, told + 1);
    }
    Ok((last.context("a watch tells the run at least once")?, told))
}

async fn count(trainer: &Service, dataset: &str) -> Result<u64> {
    let request = GetDatasetRequest { name: dataset.into() };
    let answer = trainer.dataset_client().await?.get_dataset(request).await?.into_inner();
    Ok(answer.dataset.context("a dataset")?.example_count)
}

async fn heads(trainer: &Service) -> Result<Vec<(String, u32)>> {
    let answer = trainer.head_client().await?.list_heads(ListHeadsRequest::default()).await?.into_inner();
    Ok(answer.heads.into_iter().map(|head| (head.name, head.version)).collect())
}

#[tokio::test]
async fn a_run_is_cancelled_and_watched_through_any_trainer_and_outlives_the_one_that_fits_it() -> Result<()> {
    let mut cluster = Cluster::start(2).await?;
    cluster.fill("fashion", ROWS).await?;

    let (run, by) = cluster.busy("fashion").await?;
    let other = &cluster.trainers[1 - by];
    let (watched, cancelled) = tokio::join!(watch(other, &run), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = CancelTrainingRunRequest { id: run.clone() };
        let answer = other.training_client().await?.cancel_training_run(request).await?;
        answer.into_inner().training_run.context("a run")
    });
    let (cancelled, (ended, told)) = (cancelled?, watched?);
    ensure!(cancelled.state() == TrainingState::Cancelled, "it stops within seconds: {cancelled:?}");
    ensure!(ended == cancelled && told >= 2, "{told} states were told, {ended:?} the last");
    ensure!(heads(other).await?.is_empty(), "no head is left behind");

    let (run, by) = cluster.busy("fashion").await?;
    cluster.trainers[by].kill();
    let other = &cluster.trainers[1 - by];
    let (ended, _) = watch(other, &run).await?;
    ensure!(ended.state() == TrainingState::Succeeded && ended.head_version == 1, "{ended:?}\n{}", other.log());
    mentions(&other.log(), &["taking over a run whose trainer is gone"])?;
    cluster.trainers[by].restart().await?;
    ensure!(heads(&cluster.trainers[by]).await? == [("fashion".to_owned(), 1)], "it is fitted and registered once");
    let embedded = cluster.extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(
        embedded == ROWS as f64,
        "the run went on from the embeddings that there were: {embedded} images were embedded"
    );
    Ok(())
}

/// Import `all`; once something is acknowledged, `meanwhile` happens. Gives back the outcomes, and how the import ended.
async fn import_while(
    trainer: &Service,
    all: &[Example],
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<(Vec<ExampleOutcome>, Result<(), tonic::Status>)> {
    let messages = tokio_stream::iter(import_messages("fashion", all.to_vec()));
    let mut answers = trainer.dataset_client().await?.import_examples(messages).await?.into_inner();
    let mut outcomes = answers.message().await?.context("nothing was acknowledged")?.outcomes;
    let (ended, happened) = tokio::join!(
        async {
            loop {
                match answers.message().await {
                    Ok(Some(answer)) => outcomes.extend(answer.outcomes),
                    Ok(None) => return Ok(()),
                    Err(status) => return Err(status),
                }
            }
        },
        meanwhile
    );
    happened?;
    Ok((outcomes, ended))
}

/// Import once more through another trainer: what was acknowledged is known, and the whole is there once and can be used.
async fn check(cluster: &Cluster, all: &[Example], outcomes: &[ExampleOutcome]) -> Result<()> {
    ensure!(outcomes.iter().all(|outcome| outcome.outcome() != Outcome::Rejected), "{outcomes:?}");
    let acknowledged: HashSet<&str> = outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
    let other = &cluster.trainers[1];
    let again = import(other, "fashion", all.to_vec()).await?;
    let lost = again.iter().filter(|o| acknowledged.contains(o.id.as_str()) && o.outcome() != Outcome::AlreadyKnown);
    ensure!(again.len() == all.len() && lost.clone().count() == 0, "{:?}", lost.collect::<Vec<_>>());
    ensure!(count(other, "fashion").await? == all.len() as u64);
    train(other, "fashion").await.context("every segment is whole")?;
    Ok(())
}

#[tokio::test]
async fn a_restart_of_postgres_loses_nothing_that_was_acknowledged() -> Result<()> {
    let mut cluster = Cluster::start(2).await?;
    create_dataset(&cluster.trainers[0], "fashion").await?;
    let all = some(800)?;
    let Cluster { trainers, postgres, .. } = &mut cluster;
    let restart = async {
        postgres.stop()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        postgres.start_again().await
    };
    let (outcomes, ended) = import_while(&trainers[0], &all, restart).await?;
    if let Err(status) = ended {
        ensure!(status.code() == Code::Unavailable, "{status:?}");
    }
    check(&cluster, &all, &outcomes).await
}

#[tokio::test]
async fn a_bucket_that_refuses_writes_for_a_while_is_waited_for() -> Result<()> {
    let cluster = Cluster::start(2).await?;
    create_dataset(&cluster.trainers[0], "fashion").await?;
    let all = some(800)?;
    let refuse = async {
        cluster.bucket.refuse_writes(true);
        tokio::time::sleep(Duration::from_secs(10)).await;
        cluster.bucket.refuse_writes(false);
        Ok(())
    };
    let (outcomes, ended) = import_while(&cluster.trainers[0], &all, refuse).await?;
    ensure!(ended.is_ok() && outcomes.len() == all.len(), "{ended:?}, {} outcomes", outcomes.len());
    mentions(&cluster.trainers[0].log(), &["the state cannot be reached; trying again"])?;
    check(&cluster, &all, &outcomes).await
}

#[tokio::test]
async fn a_flipped_bit_is_named_and_the_rest_is_served() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let trainer = &cluster.trainers[0];
    cluster.fill("damaged", 200).await?;
    train(trainer, "damaged").await?;
    let segments = cluster.bucket.files().join("graft/segments");
    let segment = fs::read_dir(&segments)?.next().context("a segment")??.path();
    let mut bytes = fs::read(&segment)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&segment, bytes)?;

    let failed = train(trainer, "damaged").await.err().context("the run must fail")?.to_string();
    let name = segment.file_name().and_then(|name| name.to_str()).context("a name")?;
    mentions(&failed, &["segments/", name, "checksum"])?;

    create_dataset(trainer, "sound").await?;
    let others = examples(&fashion::train()?[200..400], Split::Train, 200);
    import(trainer, "sound", others).await?;
    train(trainer, "sound").await?;
    ensure!(heads(trainer).await? == [("damaged".to_owned(), 1), ("sound".to_owned(), 1)]);
    Ok(())
}
