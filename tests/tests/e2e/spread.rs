//! One trainer, several extractors: all of them work, and the loss of one loses nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyStreamRequest, Example, ExampleOutcome, GetDatasetRequest,
    Outcome, Split, classify_input, classify_stream_request, classify_stream_response,
};
use graft_tests::{
    calls::{create_dataset, examples, import, import_messages, refused, train},
    fashion::{self, Row},
    services::Service,
};
use tempfile::TempDir;
use tonic::Code;

/// An extractor that has come back is used by then, and one that is lost missed by nobody.
const SECONDS: Duration = Duration::from_secs(15);

/// Two extractors, and a trainer that knows both.
struct Three {
    extractors: [Service; 2],
    trainer: Service,
    _data: TempDir,
}

impl Three {
    async fn start() -> Result<Three> {
        let extractors =
            [Service::extractor(&["--threads", "1"]).await?, Service::extractor(&["--threads", "1"]).await?];
        let urls = format!("{},{}", extractors[0].url(), extractors[1].url());
        let data = TempDir::new()?;
        let trainer = Service::trainer(&urls, data.path(), &[]).await?;
        create_dataset(&trainer, "d").await?;
        Ok(Three { extractors, trainer, _data: data })
    }

    async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        self.trainer.metric(name, labels).await
    }

    /// Import examples until `extractor` has embedded some.
    async fn until_it_works(&self, extractor: &Service, mut rest: &[Row], first: usize) -> Result<()> {
        let begun = Instant::now();
        let mut next = first;
        while embedded(extractor).await? == 0.0 {
            ensure!(
                // It loads its backbone first, and others use this machine too.
                begun.elapsed() < 3 * SECONDS && rest.len() > 20,
                "{} is not used: {}",
                extractor.url(),
                self.trainer.log()
            );
            let (some, others) = rest.split_at(20);
            all_stored(&import(&self.trainer, "d", examples(some, Split::Train, next)).await?, some.len())?;
            (rest, next) = (others, next + some.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

async fn embedded(extractor: &Service) -> Result<f64> {
    extractor.metric("graft_extractor_images_total", "embedded").await
}

/// Each example has one outcome: it is stored.
fn all_stored(outcomes: &[ExampleOutcome], count: usize) -> Result<()> {
    let mut ids: Vec<&str> = outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == count && outcomes.len() == count, "{} outcomes of {} for {count}", outcomes.len(), ids.len());
    let other = outcomes.iter().find(|outcome| outcome.outcome() != Outcome::Stored);
    ensure!(other.is_none(), "{other:?}");
    Ok(())
}

async fn stored(trainer: &Service) -> Result<u64> {
    let answer = trainer.dataset_client().await?.get_dataset(GetDatasetRequest { name: "d".into() }).await?;
    Ok(answer.into_inner().dataset.context("a dataset")?.example_count)
}

#[tokio::test]
async fn an_import_keeps_all_extractors_busy() -> Result<()> {
    let three = Three::start().await?;
    let rows = fashion::train()?;
    all_stored(&import(&three.trainer, "d", examples(&rows[..600], Split::Train, 0)).await?, 600)?;
    let done = [embedded(&three.extractors[0]).await?, embedded(&three.extractors[1]).await?];
    ensure!(done[0] + done[1] == 600.0 && done[0] > 150.0 && done[1] > 150.0, "{done:?} of 600 images");
    for extractor in &three.extractors {
        let endpoint = format!("endpoint=\"{}\"", extractor.url());
        ensure!(three.metric("graft_trainer_extractor_images_outstanding", &endpoint).await? == 0.0);
        ensure!(three.metric("graft_trainer_extractors", &format!("{endpoint},state=\"up\"")).await? == 1.0);
        ensure!(three.metric("graft_trainer_extractors", &format!("{endpoint},state=\"down\"")).await? == 0.0);
    }
    ensure!(three.metric("graft_trainer_extractors_lost_total", "").await? == 0.0);
    Ok(())
}

/// Import examples; once some are stored, do something to an extractor.
async fn import_and(
    trainer: &Service,
    examples: Vec<Example>,
    mut interfere: impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<ExampleOutcome>> {
    let messages = tokio_stream::iter(import_messages("d", examples));
    let mut answers = trainer.dataset_client().await?.import_examples(messages).await?.into_inner();
    let (mut outcomes, mut done) = (Vec::new(), false);
    while let Some(answer) = answers.message().await? {
        outcomes.extend(answer.outcomes);
        if !std::mem::replace(&mut done, true) {
            interfere().await?;
        }
    }
    Ok(outcomes)
}

#[tokio::test]
async fn an_import_goes_on_when_an_extractor_is_killed() -> Result<()> {
    let mut three = Three::start().await?;
    let all = examples(&fashion::train()?[..1200], Split::Train, 0);
    let killed = &mut three.extractors[0];
    let outcomes = import_and(&three.trainer, all, async || {
        killed.kill();
        Ok(())
    });
    all_stored(&outcomes.await?, 1200)?;
    ensure!(stored(&three.trainer).await? == 1200, "nothing is lost and nothing doubled");
    ensure!(three.metric("graft_trainer_images_resent_total", &three.extractors[0].url()).await? > 0.0);
    ensure!(three.metric("graft_trainer_extractors_lost_total", "").await? == 1.0);
    ensure!(three.metric("graft_trainer_extractors", "state=\"up\"").await? == 1.0);
    train(&three.trainer, "d").await.context("every segment is whole")?;
    Ok(())
}

#[tokio::test]
async fn an_import_uses_an_extractor_again_that_was_killed_and_is_back() -> Result<()> {
    let mut three = Three::start().await?;
    let all = examples(&fashion::train()?, Split::Train, 0);
    let count = all.len();
    let killed = &mut three.extractors[0];
    // It has another process from then on, which has embedded nothing yet.
    let outcomes = import_and(&three.trainer, all, async || killed.restart().await);
    all_stored(&outcomes.await?, count)?;
    ensure!(stored(&three.trainer).await? == count as u64, "nothing is lost and nothing doubled");
    ensure!(embedded(&three.extractors[0]).await? > 0.0, "{}", three.trainer.log());
    Ok(())
}

#[tokio::test]
async fn a_stream_of_classifications_goes_on_when_an_extractor_is_killed() -> Result<()> {
    let mut three = Three::start().await?;
    import(&three.trainer, "d", examples(&fashion::train()?[..200], Split::Unspecified, 0)).await?;
    train(&three.trainer, "d").await?;

    let options = ClassifyOptions { head: "d".into(), top_k: 1, ..Default::default() };
    let mut messages =
        vec![ClassifyStreamRequest { message: Some(classify_stream_request::Message::Options(options)) }];
    messages.extend(fashion::test()?[..800].iter().enumerate().map(|(index, row)| {
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(row.image())) });
        let item = ClassifyItem { id: index.to_string(), input, ..Default::default() };
        ClassifyStreamRequest { message: Some(classify_stream_request::Message::Item(item)) }
    }));
    let stream = tokio_stream::iter(messages);
    let mut answers = three.trainer.classifier_client().await?.classify_stream(stream).await?.into_inner();
    let mut answered = HashMap::new();
    while let Some(answer) = answers.message().await? {
        let result = answer.result.context("a result")?;
        ensure!(matches!(result, classify_stream_response::Result::Classification(_)), "{}: {result:?}", answer.id);
        ensure!(answered.insert(answer.id.clone(), result).is_none(), "{} was answered twice", answer.id);
        if answered.len() == 100 {
            three.extractors[1].kill();
        }
    }
    ensure!(answered.len() == 800, "{} answers", answered.len());
    ensure!(three.metric("graft_trainer_images_resent_total", &three.extractors[1].url()).await? > 0.0);
    Ok(())
}

#[tokio::test]
async fn one_that_is_not_there_is_no_hindrance_and_is_used_once_it_is() -> Result<()> {
    let mut late = Service::extractor(&[]).await?;
    late.kill();
    // A name is looked up; of this one, at least one address is an extractor's.
    let named = Service::extractor(&[]).await?;
    let name = format!("http://localhost:{}", named.port());
    let data = TempDir::new()?;
    let urls = format!("{},{name}", late.url());
    let trainer = Service::trainer(&urls, data.path(), &[]).await?;
    let begun = Instant::now();
    create_dataset(&trainer, "d").await?;
    let rows = fashion::train()?;
    all_stored(&import(&trainer, "d", examples(&rows[..100], Split::Train, 0)).await?, 100)?;
    ensure!(begun.elapsed() < SECONDS, "{:?}", begun.elapsed());

    late.restart().await?;
    let three = Three { extractors: [named, late], trainer, _data: data };
    three.until_it_works(&three.extractors[1], &rows[100..], 100).await?;

    let Three { extractors: [mut named, mut late], trainer, .. } = three;
    named.kill();
    late.kill();
    let begun = Instant::now();
    let none = import(&trainer, "d", examples(&fashion::test()?[..10], Split::Train, 5000)).await;
    refused(none, Code::Unavailable, &[&late.url(), &name, "refused", "--extractor"])?;
    ensure!(begun.elapsed() < SECONDS, "{:?}", begun.elapsed());
    Ok(())
}
