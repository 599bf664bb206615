//! Rows in, a served classifier out; and everything is still there after a restart.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use graft_proto::v1::{
    ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyRequest, ClassifyStreamRequest, DType, DeleteDatasetRequest,
    DeleteHeadRequest, Embedding, ExtractOptions, GetDatasetRequest, GetHeadRequest, GetTrainingRunRequest,
    ListDatasetsRequest, ListHeadsRequest, ListTrainingRunsRequest, Outcome, Split, TrainingState, classify_input,
    classify_stream_request, classify_stream_response,
};
use graft_tests::{
    calls::{create_dataset, examples, extract, import, refused, train},
    fashion,
    services::{Pair, Service},
};
use tonic::Code;

#[tokio::test]
async fn rows_become_a_classifier_that_survives_a_restart() -> Result<()> {
    let mut pair = Pair::start().await?;
    let (train_rows, test_rows) = (&fashion::train()?[..600], &fashion::test()?[..200]);
    create_dataset(&pair.trainer, "fashion").await?;
    let mut all = examples(train_rows, Split::Train, 0);
    all.extend(examples(test_rows, Split::Test, 600));
    let outcomes = import(&pair.trainer, "fashion", all.clone()).await?;
    ensure!(outcomes.len() == 800, "an outcome for every example: {}", outcomes.len());
    ensure!(outcomes.iter().all(|o| o.outcome() == Outcome::Stored), "{outcomes:?}");

    let embedded = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    let again = import(&pair.trainer, "fashion", all).await?;
    ensure!(again.iter().all(|o| o.outcome() == Outcome::AlreadyKnown), "the same again is known");
    let now = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(embedded == now && embedded >= 800.0, "nothing is embedded twice: {embedded} then {now}");

    let run = train(&pair.trainer, "fashion").await?;
    ensure!(run.head_version == 1 && run.progress.is_some_and(|p| p.fraction == 1.0), "the first version");
    let head = head(&pair.trainer, "fashion").await?;
    let report = head.report.clone().context("a head carries its report")?;
    ensure!(report.accuracy > 0.75, "600 rows are enough for more than {}", report.accuracy);
    ensure!(report.test_count == 200 && report.confusion.iter().sum::<u64>() == 200, "all test rows are counted");
    ensure!(report.train_count == 600 && report.classes.len() == 10, "{report:?}");
    let right: u64 = (0..10).map(|class| report.confusion[class * 10 + class]).sum();
    ensure!((right as f64 / 200.0 - report.accuracy).abs() < 1e-9, "accuracy is the diagonal's share");

    let before = classify(&pair.trainer, "fashion", test_rows).await?;
    let hits = before.iter().zip(test_rows).filter(|(label, row)| **label == row.label).count();
    ensure!(hits as u64 == right, "served answers are the evaluated ones: {hits} and {right}");

    pair.trainer.restart().await?;
    ensure!(classify(&pair.trainer, "fashion", test_rows).await? == before, "the same answers after a restart");
    let dataset = pair.trainer.dataset_client().await?;
    let dataset = dataset.clone().get_dataset(GetDatasetRequest { name: "fashion".into() }).await?.into_inner();
    ensure!(dataset.dataset.is_some_and(|d| d.example_count == 800 && d.classes.len() == 10), "the dataset is there");
    let request = GetTrainingRunRequest { id: run.id };
    let run = pair.trainer.training_client().await?.get_training_run(request).await?.into_inner().training_run;
    ensure!(run.is_some_and(|run| run.state() == TrainingState::Succeeded), "the run is there");

    let second = train(&pair.trainer, "fashion").await?;
    ensure!(second.head_version == 2, "the next version");
    ensure!(self::head(&pair.trainer, "fashion@1").await?.report == head.report, "the first is as it was");
    Ok(())
}

#[tokio::test]
async fn an_embedding_is_classified_like_its_image() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "few").await?;
    let rows = &fashion::train()?[..120];
    import(&pair.trainer, "few", examples(rows, Split::Unspecified, 0)).await?;
    train(&pair.trainer, "few").await?;
    let head = head(&pair.trainer, "few").await?;

    let options = ExtractOptions { space: head.space.clone(), ..Default::default() };
    let row = &fashion::test()?[0];
    let embedded = extract(&pair.extractor, options, vec![("a".into(), row.image())]).await?;
    let numbers = embedded["a"].as_ref().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut classifier = pair.trainer.classifier_client().await?;
    let mut ask = async |input, top_k| {
        let input = Some(ClassifyInput { input: Some(input) });
        classifier.classify(ClassifyRequest { head: "few".into(), input, top_k, ..Default::default() }).await
    };
    let embedding = |space: &str, data: &[u8]| {
        let data = data.to_vec().into();
        classify_input::Input::Embedding(Embedding { space: space.into(), dtype: DType::F32 as i32, data })
    };
    let by_embedding = ask(embedding(&head.space, &data), 3).await?.into_inner();
    let by_image = ask(classify_input::Input::Image(row.image()), 3).await?.into_inner();
    ensure!(by_embedding.head == "few@1" && by_embedding.predictions.len() == 3, "{by_embedding:?}");
    for (a, b) in by_embedding.predictions.iter().zip(&by_image.predictions) {
        ensure!(a.label == b.label && (a.probability - b.probability).abs() < 1e-3, "{a:?} {b:?}");
    }
    let all = ask(embedding(&head.space, &data), 1000).await?.into_inner().predictions;
    let sum: f32 = all.iter().map(|p| p.probability).sum();
    ensure!(all.len() == head.labels.len() && (sum - 1.0).abs() < 1e-4, "probabilities add up to one: {sum}");

    let short = ask(embedding(&head.space, &data[4..]), 3).await;
    refused(short, Code::InvalidArgument, &["1280", "1279"])?;
    let foreign = ask(embedding("other-net@0123456789abcdef", &data), 3).await;
    refused(foreign, Code::FailedPrecondition, &["other-net@0123456789abcdef", &head.space])?;
    refused(ask(embedding(&head.space, &data), 1001).await, Code::InvalidArgument, &["top_k", "1000"])?;
    Ok(())
}

#[tokio::test]
async fn a_stream_answers_every_input_and_goes_on_after_a_bad_one() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "few").await?;
    let rows = &fashion::train()?[..80];
    import(&pair.trainer, "few", examples(rows, Split::Unspecified, 0)).await?;
    train(&pair.trainer, "few").await?;

    let options = ClassifyOptions { head: "few".into(), top_k: 1, ..Default::default() };
    let mut messages =
        vec![ClassifyStreamRequest { message: Some(classify_stream_request::Message::Options(options)) }];
    for (index, row) in rows.iter().take(60).enumerate() {
        let image = if index == 7 { fashion::pixels(28, 28, 1, vec![0; 783]) } else { row.image() };
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) });
        let item = ClassifyItem { id: format!("item-{index}"), input, ..Default::default() };
        messages.push(ClassifyStreamRequest { message: Some(classify_stream_request::Message::Item(item)) });
    }
    let mut client = pair.trainer.classifier_client().await?;
    let mut answers = client.classify_stream(tokio_stream::iter(messages)).await?.into_inner();
    let (mut ids, mut failed) = (Vec::new(), Vec::new());
    while let Some(answer) = answers.message().await? {
        match answer.result.context("an answer holds something")? {
            classify_stream_response::Result::Classification(_) => {}
            classify_stream_response::Result::Error(error) => failed.push((answer.id.clone(), error)),
        }
        ids.push(answer.id);
    }
    ids.sort();
    ids.dedup();
    ensure!(ids.len() == 60, "every input is answered once: {}", ids.len());
    let [(id, error)] = &failed[..] else { anyhow::bail!("one input is bad: {failed:?}") };
    ensure!(id == "item-7" && error.message.contains("784") && error.message.contains("783"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn pages_follow_each_other_and_what_is_deleted_is_gone() -> Result<()> {
    let pair = Pair::start().await?;
    for name in ["c", "a", "b"] {
        create_dataset(&pair.trainer, name).await?;
    }
    let mut client = pair.trainer.dataset_client().await?;
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListDatasetsRequest { page_size: 2, page_token: token };
        let page = client.list_datasets(request).await?.into_inner();
        ensure!(page.datasets.len() <= 2, "a page is no longer than was asked for");
        names.extend(page.datasets.into_iter().map(|dataset| dataset.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    ensure!(names == ["a", "b", "c"], "{names:?}");
    let nonsense = ListDatasetsRequest { page_size: 2, page_token: "nonsense \u{1F600}".into() };
    refused(client.list_datasets(nonsense).await, Code::InvalidArgument, &["page_token"])?;
    let long = ListDatasetsRequest { page_size: 5000, page_token: String::new() };
    refused(client.list_datasets(long).await, Code::InvalidArgument, &["page_size", "1000"])?;

    import(&pair.trainer, "a", examples(&fashion::train()?[..60], Split::Unspecified, 0)).await?;
    train(&pair.trainer, "a").await?;
    client.delete_dataset(DeleteDatasetRequest { name: "a".into() }).await?;
    refused(client.get_dataset(GetDatasetRequest { name: "a".into() }).await, Code::NotFound, &["a"])?;
    classify(&pair.trainer, "a", &fashion::test()?[..2]).await.context("a head outlives its dataset")?;

    let mut heads = pair.trainer.head_client().await?;
    ensure!(heads.list_heads(ListHeadsRequest::default()).await?.into_inner().heads.len() == 1, "one head");
    heads.delete_head(DeleteHeadRequest { name: "a".into() }).await?;
    refused(heads.get_head(GetHeadRequest { name: "a".into() }).await, Code::NotFound, &["a"])?;
    let runs = pair.trainer.training_client().await?.list_training_runs(ListTrainingRunsRequest::default()).await?;
    ensure!(runs.into_inner().training_runs.len() == 1, "the run is still told of");
    Ok(())
}

async fn head(trainer: &Service, name: &str) -> Result<graft_proto::v1::Head> {
    let request = GetHeadRequest { name: name.to_owned() };
    trainer.head_client().await?.get_head(request).await?.into_inner().head.context("a head")
}

/// The most probable label of each row.
async fn classify(trainer: &Service, head: &str, rows: &[fashion::Row]) -> Result<Vec<String>> {
    let client = trainer.classifier_client().await?;
    let calls = rows.iter().map(|row| {
        let mut client = client.clone();
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(row.image())) });
        let request = ClassifyRequest { head: head.to_owned(), input, top_k: 1, ..Default::default() };
        async move { client.classify(request).await }
    });
    let answers = try_join_all(calls).await?;
    Ok(answers.into_iter().map(|answer| answer.into_inner().predictions[0].label.clone()).collect())
}
