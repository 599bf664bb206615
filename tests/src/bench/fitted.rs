//! Heads for the benchmarks of serving: their weights are drawn by chance, which makes no difference to how fast they are.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use graft_proto::v1::{
    Embedding, GetBackboneRequest, ImportHeadOptions, ImportHeadRequest, WeightOrder,
    head_service_client::HeadServiceClient,
};
use graft_trainer::fit::random::Random;
use safetensors::{Dtype, tensor::TensorView};
use tonic::transport::Channel;

use crate::services::{Pair, Service};

/// Heads that are sent at once.
const AT_ONCE: usize = 8;

/// The space of the default backbone, and the numbers in an embedding of it.
#[derive(Clone, Debug)]
pub struct Space {
    /// NAME@HASH.
    pub name: String,
    /// Numbers in an embedding.
    pub dimension: usize,
}

impl Space {
    /// That of the extractor's default backbone.
    pub async fn of(extractor: &Service) -> Result<Space> {
        let mut client = extractor.extractor_client().await?;
        let backbone = client.get_backbone(GetBackboneRequest::default()).await?.into_inner().backbone;
        let backbone = backbone.context("a backbone")?;
        Ok(Space { name: backbone.space, dimension: backbone.dimension as usize })
    }

    /// An embedding.
    pub fn embedding(&self, seed: u64) -> Embedding {
        let data = numbers(self.dimension, seed).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        Embedding { space: self.name.clone(), data: data.into(), ..Default::default() }
    }
}

/// What a head is called.
pub fn name(at: usize) -> String {
    format!("head-{at:05}")
}

/// Register `count` softmax heads of `classes` classes.
pub async fn register(pair: &Pair, space: &Space, count: usize, classes: usize) -> Result<()> {
    let client = pair.trainer.head_client().await?;
    let sends = (0..count).map(|at| send(client.clone(), space, at, classes));
    stream::iter(sends).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}

async fn send(mut client: HeadServiceClient<Channel>, space: &Space, at: usize, classes: usize) -> Result<()> {
    let options = ImportHeadOptions {
        name: name(at),
        space: space.name.clone(),
        labels: (0..classes).map(|class| format!("class-{class:03}")).collect(),
        weight_order: WeightOrder::LabelsFirst as i32,
        ..Default::default()
    };
    let weights: Vec<u8> =
        numbers(classes * space.dimension, at as u64).iter().flat_map(|number| number.to_le_bytes()).collect();
    let weight = TensorView::new(Dtype::F32, vec![classes, space.dimension], &weights)?;
    let data = safetensors::serialize([("weight", weight)], None)?;
    let request = ImportHeadRequest { options: Some(options), data: data.into() };
    let head = client.import_head(stream::iter([request])).await?.into_inner().head.context("a head")?;
    ensure!(head.version == 1, "{head:?}");
    Ok(())
}

/// Numbers around 0, as those of weights and embeddings are.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| (random.unit() - 0.5) as f32 * 0.1).collect()
}
