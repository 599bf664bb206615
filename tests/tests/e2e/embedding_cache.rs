//! The cache of embeddings, from outside: what comes again is not run again, in any form, and nothing else is answered
//! from it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use graft_proto::{
    inference::{
        ModelInferRequest, grpc_inference_service_client::GrpcInferenceServiceClient,
        model_infer_request::InferInputTensor,
    },
    v1::{DType, ExtractOptions, Image, extract_response},
};
use graft_tests::{
    calls::{extract, extract_messages, floats},
    fashion,
    pictures::{encoded, photo},
    services::{Service, root},
};
use tempfile::TempDir;

const ON: [&str; 2] = ["--embedding-cache-mib", "8"];
const OTHER_SPACE: &str = "efficientnet-lite0-imagenet";

/// Hits and misses so far.
async fn lookups(extractor: &Service) -> Result<(f64, f64)> {
    let name = "graft_extractor_embedding_cache_lookups_total";
    Ok((extractor.metric(name, "hit").await?, extractor.metric(name, "miss").await?))
}

/// Embed one image on a stream of its own.
async fn embed(extractor: &Service, backbone: &str, image: &Image) -> Result<Vec<f32>> {
    let options = ExtractOptions { backbone: backbone.into(), ..Default::default() };
    let mut embedded = extract(extractor, options, vec![("a".into(), image.clone())]).await?;
    embedded.remove("a").context("an answer")?.map_err(|error| anyhow::anyhow!("{error:?}"))
}

#[tokio::test]
async fn an_image_that_comes_again_has_the_same_embedding_and_is_not_run() -> Result<()> {
    let extractor = Service::extractor(&ON).await?;
    let (row, coffee) = (fashion::reference()?[0].image(), encoded(photo("coffee.jpg")?));
    for (image, so_far) in [(&row, 0.0), (&coffee, 1.0)] {
        let first = embed(&extractor, "", image).await?;
        ensure!(lookups(&extractor).await? == (so_far, so_far + 1.0));
        let again = embed(&extractor, "", image).await?;
        ensure!(lookups(&extractor).await? == (so_far + 1.0, so_far + 1.0) && first == again && first.len() == 1280);
    }
    let images = async |outcome| extractor.metric("graft_extractor_images_total", outcome).await;
    ensure!(images("embedded").await? == 2.0 && images("cached").await? == 2.0);
    ensure!(extractor.metric("graft_extractor_embedding_cache_entries", "").await? == 2.0);
    let bytes = extractor.metric("graft_extractor_embedding_cache_bytes", "").await?;
    ensure!((2.0 * 5120.0..2.0 * 6000.0).contains(&bytes), "{bytes} bytes for two embeddings");

    embed(&extractor, OTHER_SPACE, &row).await?;
    ensure!(lookups(&extractor).await? == (2.0, 3.0), "another space has other embeddings");
    Ok(())
}

#[tokio::test]
async fn callers_share_it_whatever_they_speak_and_however_they_want_their_numbers() -> Result<()> {
    let extractor = Service::extractor(&ON).await?;
    let row = fashion::reference()?.into_iter().next().context("a row")?;
    let full = embed(&extractor, "", &row.image()).await?;

    let options = ExtractOptions { dtype: DType::F16 as i32, ..Default::default() };
    let messages = tokio_stream::iter(extract_messages(options, vec![("half".into(), row.image())]));
    let mut answers = extractor.extractor_client().await?.extract(messages).await?.into_inner();
    let mut half = Bytes::new();
    while let Some(answer) = answers.message().await? {
        if let Some(extract_response::Message::Embeddings(batch)) = answer.message {
            ensure!(batch.dtype() == DType::F16 && batch.ids == ["half"] && batch.dimension == 1280);
            half = batch.data;
        }
    }
    ensure!(half.len() == 2 * full.len() && lookups(&extractor).await? == (1.0, 1.0));

    let input = InferInputTensor {
        name: "image".into(),
        datatype: "UINT8".into(),
        shape: vec![2, 28, 28, 1],
        ..Default::default()
    };
    let mut unknown = row.pixels.to_vec();
    unknown[14 * 28 + 14] ^= 0xff;
    let contents = [unknown, row.pixels.to_vec()].concat();
    let request =
        ModelInferRequest { inputs: vec![input], raw_input_contents: vec![contents.into()], ..Default::default() };
    let mut client = GrpcInferenceServiceClient::new(extractor.channel().await?);
    let answer = client.model_infer(request).await?.into_inner();
    let both = floats(&answer.raw_output_contents[0]);
    ensure!(lookups(&extractor).await? == (2.0, 2.0));
    ensure!(both[1280..] == full[..] && both[..1280] != full[..], "each stands in its place");
    Ok(())
}

#[tokio::test]
async fn what_was_refused_is_refused_again_and_off_means_off() -> Result<()> {
    let extractor = Service::extractor(&ON).await?;
    let broken = encoded(photo("coffee.jpg")?.slice(..9_000));
    for misses in [1.0, 2.0] {
        ensure!(embed(&extractor, "", &broken).await.is_err());
        ensure!(lookups(&extractor).await? == (0.0, misses));
    }
    ensure!(extractor.metric("graft_extractor_embedding_cache_entries", "").await? == 0.0);

    let without = Service::extractor(&[]).await?;
    let row = fashion::reference()?[0].image();
    for _ in 0..2 {
        embed(&without, "", &row).await?;
    }
    ensure!(without.metric("graft_extractor_images_total", "embedded").await? == 2.0);
    ensure!(!without.http("/metrics").await?.contains("embedding_cache"), "nothing is looked up");
    Ok(())
}

fn put(repository: &Path, interpolation: &str) -> Result<()> {
    let built_in = root().join("services/extractor/backbones/efficientnet-lite0");
    let manifest = fs::read_to_string(built_in.join("efficientnet-lite0.toml"))?;
    let manifest = manifest.replacen("efficientnet-lite0", "net", 1).replace("bicubic", interpolation);
    fs::create_dir_all(repository.join("net"))?;
    fs::copy(built_in.join("model.onnx"), repository.join("net/model.onnx"))?;
    Ok(fs::write(repository.join("net/backbone.toml"), manifest)?)
}

#[tokio::test]
async fn a_backbone_that_was_replaced_makes_its_embeddings_anew() -> Result<()> {
    let repository = TempDir::new()?;
    put(repository.path(), "bicubic")?;
    let path = repository.path().to_string_lossy().into_owned();
    let flags = ["--backbones", &path, "--backbone-poll-seconds", "1"];
    let extractor = Service::extractor(&[&ON[..], &flags].concat()).await?;
    let coffee = encoded(photo("coffee.jpg")?);
    let before = embed(&extractor, "net", &coffee).await?;
    put(repository.path(), "nearest")?;
    let begun = Instant::now();
    let after = loop {
        let embedding = embed(&extractor, "net", &coffee).await?;
        if embedding != before {
            break embedding;
        }
        ensure!(begun.elapsed() < Duration::from_secs(20), "the old embedding is still given");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    ensure!(lookups(&extractor).await?.1 == 2.0, "one miss in each space");
    ensure!(embed(&extractor, "net", &coffee).await? == after);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_comes_again_is_much_faster_and_whole() -> Result<()> {
    // A window smaller than a message: what is known is answered before the stream waits for a ticket.
    let extractor = Service::extractor(&[&ON[..], &["--stream-window", "16"]].concat()).await?;
    let rows = fashion::train()?;
    let items: Vec<(String, Image)> =
        rows.iter().take(400).enumerate().map(|(index, row)| (index.to_string(), row.image())).collect();
    let mut took = Vec::new();
    let mut embedded = Vec::new();
    for _ in 0..2 {
        let begun = Instant::now();
        embedded.push(extract(&extractor, ExtractOptions::default(), items.clone()).await?);
        took.push(begun.elapsed());
    }
    ensure!(embedded[0] == embedded[1] && embedded[0].len() == items.len(), "the same embeddings");
    ensure!(lookups(&extractor).await? == (400.0, 400.0));
    println!("400 rows: {:?} at first, {:?} again", took[0], took[1]);
    ensure!(took[0] > 5 * took[1], "{took:?}");
    Ok(())
}
