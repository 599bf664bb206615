//! Images by URI, from outside: off unless told, from allowed places alone, within bounds, and nobody waits for them who
//! need not.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    ClassifyInput, ClassifyRequest, ExtractOptions, Image, ItemError, Outcome, Split, classify_input, extract_response,
};
use graft_tests::{
    calls::{Embedded, create_dataset, example, examples, extract, extract_messages, import, mentions, refused, train},
    fashion,
    pictures::{at, encoded, photo},
    services::{Service, command, free_port},
    web::Web,
};
use tempfile::TempDir;
use tonic::{Code, Request};

async fn embed(extractor: &Service, images: Vec<(&str, Image)>) -> Result<Embedded> {
    let items = images.into_iter().map(|(id, image)| (id.to_owned(), image)).collect();
    extract(extractor, ExtractOptions::default(), items).await
}

fn error<'a>(embedded: &'a Embedded, id: &str) -> Result<&'a ItemError> {
    embedded[id].as_ref().err().with_context(|| format!("{id} was embedded"))
}

fn is_refused(embedded: &Embedded, id: &str, words: &[&str]) -> Result<()> {
    let error = error(embedded, id)?;
    ensure!(error.code == Code::InvalidArgument as i32 && error.field == "image.uri", "{id}: {error:?}");
    mentions(&error.message, words).with_context(|| id.to_owned())
}

#[tokio::test]
async fn without_the_flag_they_are_refused_and_nobody_is_asked() -> Result<()> {
    let (extractor, web) = (Service::extractor(&[]).await?, Web::start("").await?);
    let row = fashion::reference()?[0].image();
    let images = vec![("by-uri", at(format!("{}/images/coffee.jpg", web.url))), ("row", row)];
    let embedded = embed(&extractor, images).await?;
    is_refused(&embedded, "by-uri", &["image.uri", "off", "--image-uri"])?;
    ensure!(embedded["row"].is_ok() && web.asked() == 0);
    Ok(())
}

#[tokio::test]
async fn what_is_allowed_is_embedded_and_nothing_else_is_asked() -> Result<()> {
    let evil = Web::start("").await?;
    let web = Web::start(&format!("{}/images/coffee.jpg", evil.url)).await?;
    let folder = TempDir::new()?;
    fs::create_dir(folder.path().join("public"))?;
    fs::write(folder.path().join("public/coffee.jpg"), photo("coffee.jpg")?)?;
    fs::write(folder.path().join("secret.jpg"), photo("coffee.jpg")?)?;
    symlink("../secret.jpg", folder.path().join("public/link.jpg"))?;
    let files = format!("file://{}/public", folder.path().display());
    // A proxy would be a way to everywhere.
    let proxies = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment = proxies.map(|name| (name.to_owned(), evil.url.clone())).to_vec();
    let prefixes = format!("{}/images/,{files}", web.url);
    let flags = ["--image-uri", &prefixes, "--embedding-cache-mib", "4"];
    let extractor = Service::extractor_in(environment, &flags).await?;

    let by_bytes = embed(&extractor, vec![("bytes", encoded(photo("coffee.jpg")?))]).await?;
    let (http, evil_http) = (web.url.replace("http://", ""), evil.url.replace("http://", ""));
    let good = [format!("{}/images/coffee.jpg", web.url), format!("{files}/coffee.jpg")];
    let bad = [
        format!("{}/images/coffee.jpg", evil.url),
        format!("http://{http}@{evil_http}/images/coffee.jpg"),
        format!("{}/images/../secret.jpg", web.url),
        format!("{}/images/%2e%2e/secret.jpg", web.url),
        format!("{}/images/..%2Fsecret.jpg", web.url),
        format!("{}/images\\..\\secret.jpg", web.url),
        format!("{}/secret.jpg", web.url),
        format!("{}/images/moved", web.url),
        format!("{}/images/none.jpg", web.url),
        format!("{}/images/page.html", web.url),
        format!("{files}/../secret.jpg"),
        format!("{files}/link.jpg"),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ];
    let all = good.iter().chain(&bad).map(|uri| (uri.as_str(), at(uri))).collect();
    let embedded = embed(&extractor, all).await?;
    for uri in &good {
        let embedding = embedded[uri].as_ref().map_err(|error| anyhow::anyhow!("{uri}: {error:?}"))?;
        ensure!(by_bytes["bytes"].as_ref() == Ok(embedding), "{uri}: the embedding of its bytes");
    }
    for uri in &bad {
        is_refused(&embedded, uri, &[])?;
    }
    is_refused(&embedded, &bad[0], &["--image-uri"])?;
    is_refused(&embedded, &bad[7], &["redirects", "302"])?;
    is_refused(&embedded, &bad[9], &["JPEG"])?;
    ensure!((evil.asked(), web.asked()) == (0, 4), "{} {}", evil.asked(), web.asked());
    let hits = extractor.metric("graft_extractor_embedding_cache_lookups_total", "hit").await?;
    ensure!(hits == 2.0, "content is content, wherever it came from: {hits}");
    Ok(())
}

#[tokio::test]
async fn slow_and_endless_images_are_given_up_while_the_others_go_on() -> Result<()> {
    let web = Web::start("").await?;
    let (uri, bytes) = (web.url.as_str(), "300000");
    let flags =
        ["--image-uri", uri, "--image-uri-seconds", "2", "--image-uri-fetches", "8", "--max-image-bytes", bytes];
    let extractor = Service::extractor(&flags).await?;
    let begun = Instant::now();
    let silent = at(format!("{}/images/silent", web.url));
    let mut images: Vec<(String, Image)> = (0..3).map(|index| (format!("silent-{index}"), silent.clone())).collect();
    images.push(("endless".into(), at(format!("{}/images/endless", web.url))));
    images.push(("row".into(), fashion::reference()?[0].image()));
    let messages = tokio_stream::iter(extract_messages(ExtractOptions::default(), images));
    let mut answers = extractor.extractor_client().await?.extract(messages).await?.into_inner();
    let (mut embedded, mut failed, mut at_once) = (None, Vec::new(), 0);
    while let Some(answer) = answers.message().await? {
        match answer.message {
            Some(extract_response::Message::Embeddings(batch)) => {
                embedded = Some((batch.ids, begun.elapsed()));
                // None was given up yet.
                at_once = web.most_waiting();
            }
            Some(extract_response::Message::Failure(failure)) => failed.push(failure),
            _ => {}
        }
    }
    let (ids, after) = embedded.context("the row is embedded")?;
    ensure!(ids == ["row"] && after < Duration::from_secs(2), "it did not wait: {after:?}");
    ensure!(at_once <= 2, "one stream has a quarter of the fetches: {at_once}");
    ensure!(failed.len() == 4 && begun.elapsed() < Duration::from_secs(9), "{:?}: {failed:?}", begun.elapsed());
    for failure in failed {
        let error = failure.error.context("an error")?;
        if failure.id == "endless" {
            ensure!(error.code == Code::InvalidArgument as i32, "{error:?}");
            mentions(&error.message, &["image.uri", "300000"])?;
        } else {
            ensure!(error.code == Code::Unavailable as i32, "{error:?}");
            mentions(&error.message, &["image.uri", "2s", "--image-uri-seconds"])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_deadline_and_a_caller_that_goes_away_end_a_fetch() -> Result<()> {
    let web = Web::start("").await?;
    let flags = ["--image-uri", &web.url, "--image-uri-seconds", "600", "--image-uri-fetches", "4"];
    let extractor = Service::extractor(&flags).await?;
    let silent = at(format!("{}/images/silent", web.url));
    let messages = || extract_messages(ExtractOptions::default(), vec![("silent".into(), silent.clone())]);
    let nobody_waits = async |what: &str| {
        let begun = Instant::now();
        while web.waiting() > 0 {
            ensure!(begun.elapsed() < Duration::from_secs(10), "{what}: the fetch goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };

    let mut request = Request::new(tokio_stream::iter(messages()));
    request.metadata_mut().insert("grpc-timeout", "1S".parse()?);
    let mut answers = extractor.extractor_client().await?.extract(request).await?.into_inner();
    let mut late = None;
    while let Ok(Some(answer)) = answers.message().await {
        if let Some(extract_response::Message::Failure(failure)) = answer.message {
            late = failure.error;
        }
    }
    // Whichever clock is first: the extractor's answer for the image, or the end of the call.
    ensure!(late.is_none_or(|error| error.code == Code::DeadlineExceeded as i32) && web.asked() == 1);
    nobody_waits("the deadline").await?;

    let mut answers = extractor.extractor_client().await?.extract(tokio_stream::iter(messages())).await?.into_inner();
    answers.message().await?;
    while web.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(answers);
    nobody_waits("the caller went away").await
}

#[tokio::test]
async fn streams_share_a_bounded_number_of_fetches() -> Result<()> {
    let web = Web::start("").await?;
    let flags = ["--image-uri", &web.url, "--image-uri-seconds", "2", "--image-uri-fetches", "4"];
    let extractor = Service::extractor(&flags).await?;
    let silent = at(format!("{}/images/silent", web.url));
    let streams = (0..6).map(|_| embed(&extractor, vec![("a", silent.clone()), ("b", silent.clone())]));
    let slow = futures::future::try_join_all(streams);
    let row = fashion::reference()?[0].image();
    let at_once = async {
        // None is given up by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        web.most_waiting()
    };
    let (slow, at_once, row) = tokio::join!(slow, at_once, embed(&extractor, vec![("row", row)]));
    ensure!(
        slow?.iter().all(|answers| answers.len() == 2 && answers.values().all(Result::is_err)) && row?["row"].is_ok()
    );
    ensure!(at_once <= 4 && web.most_waiting() > 1 && web.asked() == 12, "{at_once} at once, {} asked", web.asked());
    Ok(())
}

#[tokio::test]
async fn the_trainer_passes_them_on_to_classify_and_imports_none() -> Result<()> {
    let (web, data) = (Web::start("").await?, TempDir::new()?);
    let extractor = Service::extractor(&["--image-uri", &web.url]).await?;
    let trainer = Service::trainer(&extractor.url(), data.path(), &[]).await?;
    create_dataset(&trainer, "few").await?;
    import(&trainer, "few", examples(&fashion::train()?[..120], Split::Unspecified, 0)).await?;
    let by_uri = example("by-uri", "Bag", Split::Train, at(format!("{}/images/coffee.jpg", web.url)));
    let outcomes = import(&trainer, "few", vec![by_uri]).await?;
    let why = outcomes[0].error.as_ref().context("a reason")?;
    ensure!(outcomes[0].outcome() == Outcome::Rejected && why.field == "examples.image.uri", "{why:?}");
    ensure!(web.asked() == 0);
    train(&trainer, "few").await?;

    let mut classifier = trainer.classifier_client().await?;
    let mut classify = async |image| {
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) });
        classifier.classify(ClassifyRequest { head: "few".into(), input, top_k: 3, ..Default::default() }).await
    };
    let by_bytes = classify(encoded(photo("coffee.jpg")?)).await?.into_inner();
    let by_uri = classify(at(format!("{}/images/coffee.jpg", web.url))).await?.into_inner();
    ensure!(by_bytes == by_uri && web.asked() == 1);
    let elsewhere = classify(at("https://example.org/a.jpg")).await;
    refused(elsewhere, Code::InvalidArgument, &["image.uri", "--image-uri"])
}

#[tokio::test]
async fn a_prefix_that_cannot_be_allowed_ends_the_start() -> Result<()> {
    for (prefix, word) in [("ftp://host/", "ftp"), ("file:///nowhere/at/all", "No such file"), ("s3://", "bucket")] {
        let listen = format!("127.0.0.1:{}", free_port());
        let output = command("graft-extractor").args(["--listen", &listen, "--image-uri", prefix]).output()?;
        ensure!(output.status.code() == Some(64), "{:?}", output.status);
        mentions(&String::from_utf8_lossy(&output.stderr), &["image-uri", prefix, word])?;
    }
    Ok(())
}
