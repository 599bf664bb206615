//! The Open Inference Protocol as those who operate the services see it: what is dropped, counted and bounded, and what no
//! client of good will sends. What it computes is tested with Triton's own client (`clients/python/tests/test_open_inference*.py`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use graft_proto::{
    inference::{
        InferTensorContents, ModelInferRequest, ModelMetadataRequest, ServerReadyRequest,
        grpc_inference_service_client::GrpcInferenceServiceClient, model_infer_request::InferInputTensor,
    },
    v1::Split,
};
use graft_tests::{
    calls::{create_dataset, examples, floats, import, refused, train},
    fashion,
    services::{Pair, Service},
};
use tempfile::TempDir;
use tonic::{Code, Request, transport::Channel};

/// The name of the head.
const HEAD: &str = "fashion";
/// Its classes, and numbers in its embeddings.
const SHAPE: [i64; 2] = [10, 1280];

async fn client(service: &Service) -> Result<GrpcInferenceServiceClient<Channel>> {
    let client = GrpcInferenceServiceClient::new(service.channel().await?);
    Ok(client.max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20))
}

/// A request with `images` copies of a row of Fashion-MNIST.
fn request(images: usize) -> Result<ModelInferRequest> {
    let row = fashion::reference()?.into_iter().next().context("a row")?;
    let input = InferInputTensor {
        name: "image".into(),
        datatype: "UINT8".into(),
        shape: vec![images as i64, 28, 28, 1],
        ..Default::default()
    };
    let raw_input_contents = vec![Bytes::from(row.pixels.repeat(images))];
    Ok(ModelInferRequest { inputs: vec![input], raw_input_contents, ..Default::default() })
}

/// The same for the head that [`serve_a_head`] makes.
fn of_the_head(images: usize) -> Result<ModelInferRequest> {
    Ok(ModelInferRequest { model_name: HEAD.into(), ..request(images)? })
}

/// A request to the head with one tensor.
fn tensor(name: &str, datatype: &str, shape: &[i64], raw: Vec<Bytes>) -> ModelInferRequest {
    let (name, datatype, shape) = (name.to_owned(), datatype.to_owned(), shape.to_vec());
    let input = InferInputTensor { name, datatype, shape, ..Default::default() };
    ModelInferRequest { model_name: HEAD.into(), inputs: vec![input], raw_input_contents: raw, ..Default::default() }
}

/// The same with contents in the field of their type.
fn typed(request: ModelInferRequest, contents: InferTensorContents) -> ModelInferRequest {
    let contents = Some(Box::new(contents));
    let inputs = request.inputs.into_iter().map(|input| InferInputTensor { contents: contents.clone(), ..input });
    ModelInferRequest { inputs: inputs.collect(), ..request }
}

/// Train a head of few rows.
async fn serve_a_head(trainer: &Service) -> Result<()> {
    create_dataset(trainer, HEAD).await?;
    let (fit, test) = (fashion::train()?, fashion::test()?);
    import(trainer, HEAD, examples(&fit[..150], Split::Train, 0)).await?;
    import(trainer, HEAD, examples(&test[..50], Split::Test, 150)).await?;
    train(trainer, HEAD).await?;
    Ok(())
}

async fn embedded(extractor: &Service) -> Result<f64> {
    extractor.metric("graft_extractor_images_total", "embedded").await
}

#[tokio::test]
async fn calls_are_counted_under_their_own_names() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let mut client = client(&extractor).await?;
    client.server_ready(ServerReadyRequest {}).await?;
    let answer = client.model_infer(request(2)?).await?.into_inner();
    ensure!(answer.outputs[0].shape == [2, 1280] && answer.raw_output_contents[0].len() == 2 * 1280 * 4);
    let unknown = ModelInferRequest { model_name: "resnet-9000".into(), ..request(1)? };
    refused(client.model_infer(unknown).await, Code::NotFound, &["resnet-9000"])?;
    let metrics = extractor.http("/metrics").await?;
    for code in ["OK", "NOT_FOUND"] {
        let labels = ["method=\"inference.GRPCInferenceService/ModelInfer\"", &format!("code=\"{code}\"")];
        let mut counted = metrics.lines().filter(|line| line.starts_with("graft_rpc_handled_total"));
        let line = counted.find(|line| labels.iter().all(|label| line.contains(label)));
        ensure!(line.is_some_and(|line| line.ends_with(" 1")), "{code}: {line:?}");
    }
    ensure!(embedded(&extractor).await? == 2.0);
    Ok(())
}

#[tokio::test]
async fn work_whose_caller_went_away_or_is_too_late_is_dropped() -> Result<()> {
    let extractor = Service::extractor(&[]).await?;
    let mut client = client(&extractor).await?;
    // A caller that gives up after a moment: of its 256 images, most are never run.
    let moment = Duration::from_millis(30);
    ensure!(tokio::time::timeout(moment, client.model_infer(request(256)?)).await.is_err(), "256 images take longer");
    let mut late = Request::new(request(256)?);
    late.set_timeout(moment);
    ensure!(client.model_infer(late).await.is_err(), "the deadline passes first");
    // Images of the same class wait behind what was not dropped.
    let begun = Instant::now();
    client.model_infer(request(1)?).await?;
    let run = embedded(&extractor).await?;
    println!("{run} images run, the last after {:?}", begun.elapsed());
    ensure!(run < 256.0, "{run} of 513 images were run");
    Ok(())
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused() -> Result<()> {
    let extractor = Service::extractor(&["--max-streams", "1"]).await?;
    let mut first = client(&extractor).await?;
    let mut second = first.clone();
    let long = tokio::spawn(async move { first.model_infer(request(256)?).await.context("the first call") });
    // Once its images wait, it has the only permit.
    while extractor.metric("graft_extractor_queue_depth_images", "interactive").await? < 1.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    refused(second.model_infer(request(1)?).await, Code::ResourceExhausted, &["--max-streams"])?;
    long.await??;
    second.model_infer(request(1)?).await.context("there is room again")?;
    Ok(())
}

#[tokio::test]
async fn a_head_refuses_tensors_that_are_not_what_they_say() -> Result<()> {
    let pair = Pair::start().await?;
    serve_a_head(&pair.trainer).await?;
    let mut client = client(&pair.trainer).await?;
    let before = embedded(&pair.extractor).await?;
    let (row, [classes, dimension]) = (Bytes::from(vec![0; 1280 * 4]), SHAPE);
    let embedding = |shape: &[i64], raw: &[&Bytes]| {
        tensor("embedding", "FP32", shape, raw.iter().map(|raw| (*raw).clone()).collect())
    };
    let picture = |shape: &[i64]| tensor("image", "UINT8", shape, vec![Bytes::from_static(&[0; 12])]);
    let files = |shape: &[i64], raw: &'static [u8]| tensor("image", "BYTES", shape, vec![Bytes::from_static(raw)]);
    let numbers = || InferTensorContents { fp32_contents: vec![0.0; 1280], ..Default::default() };
    let words = InferTensorContents { int64_contents: vec![7; 1280], ..Default::default() };
    let most = i64::from(u32::MAX);
    for (request, word) in [
        (ModelInferRequest { inputs: vec![], ..of_the_head(1)? }, "inputs: 0 tensors"),
        (embedding(&[1, dimension], &[]), "raw_input_contents: missing"),
        (embedding(&[1, dimension], &[&row, &row]), "2 entries"),
        (typed(embedding(&[1, dimension], &[&row]), numbers()), "beside the input's contents"),
        (typed(embedding(&[2, dimension], &[]), numbers()), "5120 bytes; 10240"),
        (typed(embedding(&[1, dimension], &[]), words), "0 bytes; 5120"),
        (embedding(&[], &[&row]), "inputs.shape: []"),
        (embedding(&[dimension], &[&row]), "[n, 1280]"),
        (embedding(&[1; 9999], &[&row]), "[1, 1, 1, 1, 1, 1, …]"),
        (embedding(&[-1, -dimension], &[&row]), "[n, 1280]"),
        (embedding(&[-1, dimension], &[&row]), "1 to 256"),
        (embedding(&[i64::MAX, dimension], &[&row]), "1 to 256"),
        (embedding(&[256, dimension], &[&row]), "5120 bytes; 1310720"),
        (tensor("embedding", "FP16", &[1, dimension], vec![row.slice(..2559)]), "2559 bytes; 2560"),
        (picture(&[256, most, most, 3]), "12 bytes"),
        (picture(&[i64::MAX; 4]), "1 to 256"),
        (picture(&[1, 0, 12, 1]), "at least 1"),
        (files(&[2], b"\x01\0\0\0a"), "element 1 of 2"),
        (files(&[1], b"\xff\xff\xff\xffa"), "4294967295"),
        (files(&[1], b"\x01\0\0\0ab"), "1 bytes after"),
        (files(&[2], b"\0\0\0\0\0\0\0\0"), "inputs.image["),
    ] {
        refused(client.model_infer(request).await, Code::InvalidArgument, &[word])?;
    }
    ensure!(embedded(&pair.extractor).await? == before, "what is refused is not embedded");
    let answer = client.model_infer(embedding(&[1, dimension], &[&row])).await?.into_inner();
    ensure!(answer.outputs[0].shape == [1, classes] && answer.model_version == "1");
    let sum: f32 = floats(&answer.raw_output_contents[0]).iter().sum();
    ensure!((sum - 1.0).abs() < 1e-5, "{sum}");
    let request = ModelMetadataRequest { name: HEAD.into(), ..Default::default() };
    let properties = client.model_metadata(request).await?.into_inner().properties;
    ensure!(properties["multi_label"] == "false" && properties["labels"].starts_with(r#"["0","1","#), "{properties:?}");
    Ok(())
}

#[tokio::test]
async fn a_head_drops_what_nobody_waits_for_and_answers_embeddings_without_an_extractor() -> Result<()> {
    let mut pair = Pair::start().await?;
    serve_a_head(&pair.trainer).await?;
    let mut client = client(&pair.trainer).await?;
    let before = embedded(&pair.extractor).await?;
    let moment = Duration::from_millis(30);
    ensure!(
        tokio::time::timeout(moment, client.model_infer(of_the_head(256)?)).await.is_err(),
        "256 images take longer"
    );
    let mut late = Request::new(of_the_head(256)?);
    late.set_timeout(moment);
    ensure!(client.model_infer(late).await.is_err(), "the deadline passes first");
    client.model_infer(of_the_head(2)?).await?;
    let run = embedded(&pair.extractor).await? - before;
    ensure!(run < 256.0, "{run} of 514 images were run");

    let name = "graft_trainer_classifications_total";
    ensure!(pair.trainer.metric(name, "").await? == 2.0, "two images were classified");
    let ok = "method=\"inference.GRPCInferenceService/ModelInfer\",code=\"OK\"";
    ensure!(pair.trainer.metric("graft_rpc_handled_total", ok).await? == 1.0);
    let url = pair.extractor.url();
    pair.extractor.kill();
    refused(client.model_infer(of_the_head(1)?).await, Code::Unavailable, &[url.as_str()])?;
    let embedding = tensor("embedding", "FP32", &[3, SHAPE[1]], vec![Bytes::from(vec![0; 3 * 1280 * 4])]);
    ensure!(client.model_infer(embedding).await?.get_ref().outputs[0].shape == [3, SHAPE[0]]);
    Ok(())
}

#[tokio::test]
async fn inferences_beyond_the_limit_are_refused() -> Result<()> {
    let (extractor, data) = (Service::extractor(&[]).await?, TempDir::new()?);
    let flags = ["--max-classify-calls", "1", "--max-classify-streams", "1"];
    let trainer = Service::trainer(&extractor.url(), data.path(), &flags).await?;
    serve_a_head(&trainer).await?;
    let mut first = client(&trainer).await?;
    let mut second = first.clone();
    let _open = second.model_stream_infer(tokio_stream::pending()).await?;
    refused(second.model_stream_infer(tokio_stream::pending()).await, Code::ResourceExhausted, &["-streams"])?;
    let long = tokio::spawn(async move { first.model_infer(of_the_head(256)?).await.context("the first call") });
    while extractor.metric("graft_extractor_queue_depth_images", "interactive").await? < 1.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    refused(second.model_infer(of_the_head(1)?).await, Code::ResourceExhausted, &["--max-classify-calls"])?;
    long.await??;
    second.model_infer(of_the_head(1)?).await.context("there is room again")?;
    Ok(())
}
