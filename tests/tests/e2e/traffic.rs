//! Traffic of aliases: a canary answers its part of the keys and keeps them, a shadow is compared and never seen, and inputs that
//! are not what a head was measured on raise an alarm.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    Canary, ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyRequest, ClassifyStreamRequest, DeleteHeadRequest,
    DriftLevel, EvidenceOptions, Gather, GetHeadTrafficRequest, GetHeadTrafficResponse, ListPromotionsRequest,
    PromoteHeadRequest, PromotionAction, RollBackHeadRequest, Split, SplitFigures, SplitTrafficRequest,
    TrainingOptions, classify_input, classify_stream_request, classify_stream_response,
};
use graft_tests::{
    bucket::Bucket,
    calls::{create_dataset, examples, import, refused, train_with},
    command::{expect, graft_on},
    fashion::{self, Row},
    made_up::MadeUp,
    postgres::Postgres,
    services::{Pair, Service},
};
use tonic::{Code, Status};

/// What a test may wait for, at the most.
const WITHIN: Duration = Duration::from_secs(60);
/// Examples to fit and to measure on.
const TRAIN: usize = 200;
const TEST: usize = 100;

/// Fit the next version of `shop`, a good one or one that has learnt next to nothing.
async fn fit(trainer: &Service, good: bool) -> Result<u32> {
    let l2 = vec![if good { 0.001 } else { 1e6 }];
    let never = Gather::Never as i32;
    let evidence = Some(EvidenceOptions { label_errors: never, learning_curve: never });
    Ok(train_with(trainer, "shop", TrainingOptions { l2, evidence, ..Default::default() }).await?.head_version)
}

/// The dataset `shop`, with two good versions of a head and a bad one, of which the first is in production.
async fn fill(trainer: &Service, made_up: &MadeUp) -> Result<()> {
    create_dataset(trainer, "shop").await?;
    let split = |index| if index < TRAIN { Split::Train } else { Split::Test };
    import(trainer, "shop", (0..TRAIN + TEST).map(|index| made_up.example(index, split(index))).collect()).await?;
    for (version, good) in [(1, true), (2, true), (3, false)] {
        ensure!(fit(trainer, good).await? == version, "versions are counted");
    }
    promote(trainer, "shop@1").await
}

async fn promote(trainer: &Service, head: &str) -> Result<()> {
    let request = PromoteHeadRequest { head: head.into(), force: true, ..Default::default() };
    trainer.head_client().await?.promote_head(request).await?;
    Ok(())
}

async fn split(trainer: &Service, canary: Option<(u32, f64)>, shadow_version: u32) -> Result<(), Status> {
    let canary = canary.map(|(version, percent)| Canary { version, percent });
    let request =
        SplitTrafficRequest { head: "shop".into(), canary, shadow_version, by: "zoë".into(), ..Default::default() };
    let mut client = trainer.head_client().await.map_err(|error| Status::unavailable(error.to_string()))?;
    client.split_traffic(request).await.map(|_| ())
}

/// The version that answers each input, by its key, as a stream is answered.
async fn asked(
    trainer: &Service,
    head: &str,
    keys: &[String],
    input: impl Fn(usize) -> ClassifyInput,
) -> Result<HashMap<String, String>> {
    let options = ClassifyOptions { head: head.into(), top_k: 1, ..Default::default() };
    let message = |message| ClassifyStreamRequest { message: Some(message) };
    let item = |(at, key): (usize, &String)| {
        let item = ClassifyItem { id: key.clone(), input: Some(input(at)), sticky_key: key.clone() };
        message(classify_stream_request::Message::Item(item))
    };
    let mut messages = vec![message(classify_stream_request::Message::Options(options))];
    messages.extend(keys.iter().enumerate().map(item));
    let answers = trainer.classifier_client().await?.classify_stream(tokio_stream::iter(messages)).await?;
    let (mut answers, mut by) = (answers.into_inner(), HashMap::new());
    while let Some(answer) = answers.message().await? {
        match answer.result {
            Some(classify_stream_response::Result::Classification(found)) => by.insert(answer.id, found.head),
            other => anyhow::bail!("{other:?}"),
        };
    }
    ensure!(by.len() == keys.len(), "{} answers to {} inputs", by.len(), keys.len());
    Ok(by)
}

fn embedding(made_up: &MadeUp, index: usize) -> ClassifyInput {
    ClassifyInput { input: Some(classify_input::Input::Embedding(made_up.embedding(index))) }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| format!("user-{key}")).collect()
}

/// The keys that a version answered.
fn of(by: &HashMap<String, String>, version: &str) -> Vec<String> {
    by.iter().filter(|(_, head)| *head == version).map(|(key, _)| key.clone()).collect()
}

async fn traffic(trainer: &Service, head: &str) -> Result<GetHeadTrafficResponse> {
    let request = GetHeadTrafficRequest { head: head.into() };
    Ok(trainer.head_client().await?.get_head_traffic(request).await?.into_inner())
}

async fn figures(trainer: &Service) -> Result<SplitFigures> {
    traffic(trainer, "shop").await?.splits.pop().context("a split alias")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_answers_its_part_of_the_keys_and_keeps_them_until_it_is_promoted() -> Result<()> {
    let mut pair = Pair::start().await?;
    let made_up = MadeUp::new(&pair.extractor, 4).await?;
    fill(&pair.trainer, &made_up).await?;
    let (input, keys) = (|at| embedding(&made_up, at), keys(2000));

    split(&pair.trainer, Some((2, 10.0)), 0).await?;
    let first = asked(&pair.trainer, "shop@production", &keys, input).await?;
    let canary = of(&first, "shop@2");
    // Four standard deviations of 200.
    ensure!(canary.len().abs_diff(200) < 54 && of(&first, "shop@1").len() == 2000 - canary.len(), "{}", canary.len());
    let found = figures(&pair.trainer).await?.canary.context("a canary")?;
    ensure!((found.answers, found.canary_answers) == (2000, canary.len() as u64), "{found:?}");
    ensure!(pair.trainer.metric("graft_trainer_canary_answers_total", "").await? == canary.len() as f64);

    // One call finds the side that the stream had, and a restart changes none.
    pair.trainer.restart().await?;
    ensure!(asked(&pair.trainer, "shop@production", &keys, input).await? == first, "sides are kept");
    let mut client = pair.trainer.classifier_client().await?;
    let mut call = async |head: &str, key: &str| {
        let input = Some(embedding(&made_up, 0));
        let request = ClassifyRequest { head: head.into(), input, sticky_key: key.into(), ..Default::default() };
        client.classify(request).await.map(|answer| answer.into_inner().head)
    };
    for key in &keys[..200] {
        ensure!(call("shop@production", key).await? == first[key], "{key}");
        ensure!(call("shop@1", key).await? == "shop@1" && call("shop", key).await? == "shop@3", "no alias, no canary");
    }
    refused(call("shop@production", &"k".repeat(257)).await, Code::InvalidArgument, &["sticky_key", "256 bytes"])?;

    split(&pair.trainer, Some((2, 50.0)), 0).await?;
    let more = asked(&pair.trainer, "shop@production", &keys, input).await?;
    ensure!(canary.iter().all(|key| more[key] == "shop@2"), "a part that grows keeps what it had");
    ensure!(of(&more, "shop@2").len().abs_diff(1000) < 90, "{}", of(&more, "shop@2").len());
    let mut by_chance = 0;
    for _ in 0..400 {
        by_chance += usize::from(call("shop@production", "").await? == "shop@2");
    }
    ensure!(by_chance.abs_diff(200) < 40, "{by_chance} of 400 without a key");

    // What cannot be is refused, and what is in use stays.
    refused(split(&pair.trainer, Some((1, 1.0)), 0).await, Code::FailedPrecondition, &["version 1 itself"])?;
    refused(split(&pair.trainer, Some((9, 1.0)), 0).await, Code::NotFound, &["shop@9"])?;
    refused(split(&pair.trainer, Some((2, 0.001)), 0).await, Code::InvalidArgument, &["canary.percent", "0.01"])?;
    let delete = DeleteHeadRequest { name: "shop@2".into() };
    let mut heads = pair.trainer.head_client().await?;
    refused(
        heads.delete_head(delete.clone()).await,
        Code::FailedPrecondition,
        &["shop@2 is the canary of `production`"],
    )?;

    promote(&pair.trainer, "shop@2").await?;
    ensure!(
        of(&asked(&pair.trainer, "shop@production", &keys, input).await?, "shop@2").len() == 2000,
        "it is promoted"
    );
    ensure!(traffic(&pair.trainer, "shop").await?.splits.is_empty(), "the canary has done its work");
    heads.roll_back_head(RollBackHeadRequest { head: "shop".into(), ..Default::default() }).await?;
    ensure!(
        of(&asked(&pair.trainer, "shop@production", &keys, input).await?, "shop@1").len() == 2000,
        "and is not back"
    );
    heads.delete_head(delete).await?;
    let request = ListPromotionsRequest { head: "shop".into(), ..Default::default() };
    let history = heads.list_promotions(request).await?.into_inner().promotions;
    let told = history.iter().map(|entry| (entry.action(), entry.canary.map(|canary| canary.percent)));
    let (promoted, split) = (PromotionAction::Promote, PromotionAction::Split);
    let expected = [(promoted, None), (split, Some(50.0)), (split, Some(10.0)), (promoted, None)];
    ensure!(told.clone().skip(1).eq(expected) && history[2].by == "zoë", "{history:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_compared_and_never_seen() -> Result<()> {
    let pair = Pair::start().await?;
    let made_up = MadeUp::new(&pair.extractor, 4).await?;
    fill(&pair.trainer, &made_up).await?;
    let (input, keys) = (|at| embedding(&made_up, at), keys(300));
    for (version, alike) in [(2, true), (3, false)] {
        expect(
            graft_on(&pair, &["shadow", &format!("shop@{version}")])?,
            0,
            &[&format!("version {version} is asked besides")],
        )?;
        let by = asked(&pair.trainer, "shop@production", &keys, input).await?;
        ensure!(of(&by, "shop@1").len() == keys.len(), "a shadow answers nobody");
        let begun = Instant::now();
        let found = loop {
            let found = figures(&pair.trainer).await?.shadow.context("a shadow")?;
            if found.compared + found.failed + found.dropped == keys.len() as u64 {
                break found;
            }
            ensure!(begun.elapsed() < WITHIN, "{found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        ensure!(found.version == version && found.failed == 0 && found.compared > 0, "{found:?}");
        let same = found.agreed == found.compared && found.confidence_difference < 1e-6;
        ensure!(same == alike && (alike || found.confidence_difference > 0.1), "{found:?}");
    }
    let mut sum = 0.0;
    for outcome in ["agreed", "differed", "dropped"] {
        let labels = format!("outcome=\"{outcome}\"");
        sum += pair.trainer.metric("graft_trainer_shadow_answers_total", &labels).await?;
    }
    ensure!(sum == 600.0, "each is counted: {sum}");
    // What the shadow answered is no traffic of its version.
    let versions = traffic(&pair.trainer, "shop").await?.versions;
    ensure!(versions.len() == 1 && versions[0].head == "shop@1" && versions[0].answers == 600, "{versions:?}");
    expect(graft_on(&pair, &["traffic", "shop"])?, 0, &["shop@1", "shadow 3: agreed"])?;
    expect(
        graft_on(&pair, &["canary", "shop@2", "--percent", "2.5"])?,
        0,
        &["2.5% of the requests; version 3 is asked"],
    )?;
    expect(graft_on(&pair, &["shadow", "shop", "--off"])?, 0, &["version 2 answers 2.5%"])?;
    expect(graft_on(&pair, &["canary", "shop", "--off"])?, 0, &["version 1 for all requests"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_two_classes_alone_are_drift_and_those_of_the_test_split_are_none() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "shop").await?;
    let (train, test) = (fashion::train()?, fashion::test()?);
    let mut all = examples(&train[..600], Split::Train, 0);
    all.extend(examples(&test[..500], Split::Test, 600));
    import(&pair.trainer, "shop", all).await?;
    fit(&pair.trainer, true).await?;
    let ask = async |rows: &[&Row]| {
        let input = |at: usize| ClassifyInput { input: Some(classify_input::Input::Image(rows[at].image())) };
        asked(&pair.trainer, "shop", &keys(rows.len()), input).await
    };

    // Rows that the head has never seen.
    let others: Vec<&Row> = test[500..].iter().collect();
    ask(&others).await?;
    let found = traffic(&pair.trainer, "shop@1").await?.versions.pop().context("its traffic")?;
    ensure!(found.level() == DriftLevel::Steady && found.answers == 500, "{found:?}");
    ensure!(found.class_drift.is_some_and(|psi| psi < 0.1), "{found:?}");
    let rates: f64 = found.classes.iter().map(|class| class.rate).sum();
    ensure!((rates - 1.0).abs() < 1e-9 && found.classes.iter().all(|class| class.test_rate.is_some()), "{found:?}");

    let two: Vec<&Row> = train.iter().chain(&test).filter(|row| ["0", "1"].contains(&&row.label[..])).collect();
    for _ in 0..3 {
        ask(&two).await?;
    }
    let found = traffic(&pair.trainer, "shop").await?.versions.pop().context("its traffic")?;
    ensure!(found.level() == DriftLevel::Alarm && found.class_drift.is_some_and(|psi| psi > 0.25), "{found:?}");
    let begun = Instant::now();
    while pair.trainer.metric("graft_trainer_heads_drifting", "level=\"alarm\"").await? < 1.0 {
        ensure!(begun.elapsed() < WITHIN, "no alarm: {}", pair.trainer.http("/metrics").await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let labels = "head=\"shop@1\",kind=\"classes\"";
    ensure!(pair.trainer.metric("graft_trainer_head_drift", labels).await? > 0.25, "the metrics tell how far");
    let alarms = pair.trainer.log().lines().filter(|line| line.contains("DRIFT_LEVEL_ALARM")).count();
    ensure!(alarms == 1, "it is told of once: {}", pair.trainer.log());
    expect(graft_on(&pair, &["traffic", "shop", "--classes"])?, 0, &["shop@1", "alarm", "on test"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_replicas_split_within_two_seconds() -> Result<()> {
    let (postgres, bucket) = (Postgres::start().await?, Bucket::serve().await?);
    let (database, artifacts) = (postgres.database().await?, format!("{}/graft", bucket.uri()));
    let extractor = Service::extractor(&[]).await?;
    let flags = ["--database-url", &database, "--artifacts", &artifacts];
    let url = extractor.url();
    let start = || Service::trainer_in(bucket.environment(), &url, &flags);
    let trainers = [start().await?, start().await?];
    let made_up = MadeUp::new(&extractor, 4).await?;
    fill(&trainers[0], &made_up).await?;
    let (input, keys) = (|at| embedding(&made_up, at), keys(500));
    let before = asked(&trainers[1], "shop@production", &keys, input).await?;
    ensure!(of(&before, "shop@1").len() == keys.len(), "no canary yet");

    split(&trainers[0], Some((2, 30.0)), 0).await?;
    let expected = asked(&trainers[0], "shop@production", &keys, input).await?;
    ensure!(of(&expected, "shop@2").len().abs_diff(150) < 42, "{}", of(&expected, "shop@2").len());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let found = asked(&trainers[1], "shop@production", &keys, input).await?;
    ensure!(found == expected, "a key has the same side on every replica");
    Ok(())
}
