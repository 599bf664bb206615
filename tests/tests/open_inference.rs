//! The Open Inference Protocol as those who operate the extractor see it: what is dropped, counted and bounded.
//! What it computes is tested with Triton's own client (`clients/python/tests/test_open_inference.py`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use graft_proto::inference::{
    ModelInferRequest, ServerReadyRequest, grpc_inference_service_client::GrpcInferenceServiceClient,
    model_infer_request::InferInputTensor,
};
use graft_tests::{calls::refused, fashion, services::Service};
use tonic::{Code, Request, transport::Channel};

async fn client(extractor: &Service) -> Result<GrpcInferenceServiceClient<Channel>> {
    let client = GrpcInferenceServiceClient::new(extractor.channel().await?);
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
