//! `inference.GRPCInferenceService` for clients of Triton and KServe: backbones are its models.
//!
//! It translates, and adds nothing: a request's images wait in the interactive queue like those of a stream. What all models
//! have of the protocol is in `graft-inference`.
//!
//! # Layout
//! - [`tensors`]: the input tensor of a request becomes images.
//! - [`embed`]: the images of one request become embeddings, all or none.
//! - [`outputs`]: which outputs are wanted, and the answer with them.
//! - [`metadata`]: what the server and its models say of themselves.

pub mod embed;
pub mod metadata;
pub mod outputs;
pub mod tensors;

use std::{sync::Arc, time::Instant};

use graft_chassis::{admin::Ready, status};
use graft_inference::{Inference, Models, Permits};
use graft_proto::{
    inference::{ModelInferRequest, ModelInferResponse, ModelMetadataResponse, ServerMetadataResponse},
    v1::Backbone,
};
use tonic::{Request, Status};

use crate::{admission::Admission, cache::EmbeddingCache, engines::Engines, queue::Priority};

/// The backbones as models.
#[derive(Debug)]
pub struct Backbones {
    engines: Arc<Engines>,
    cache: Option<Arc<EmbeddingCache>>,
}

/// Serve `engines` and what is in `cache` to at most `calls` calls that embed at once; `ready` says whether the extractor
/// takes work.
pub fn service(
    engines: Arc<Engines>,
    cache: Option<Arc<EmbeddingCache>>,
    calls: usize,
    ready: Ready,
) -> Inference<Backbones> {
    let permits = Permits::new(calls, "this extractor has as many calls open as it takes (--max-streams)");
    Inference::new(Backbones { engines, cache }, permits.clone(), permits, ready)
}

impl Backbones {
    /// The backbone of this name and version, either of which may be empty.
    fn model(&self, name: &str, version: &str) -> Result<Backbone, Status> {
        let backbone = self.engines.describe(name)?;
        let served = metadata::version(&backbone);
        if version.is_empty() || version == served {
            return Ok(backbone);
        }
        let hint = format!("`{}` is served in version {served}, which a request may leave empty", backbone.name);
        Err(status::not_found("version", version, &hint))
    }
}

#[tonic::async_trait]
impl Models for Backbones {
    /// All callers have the same backbones.
    type Caller = ();

    fn caller<T>(_request: &Request<T>) {}

    fn server(&self) -> ServerMetadataResponse {
        metadata::server()
    }

    async fn describe(&self, _caller: &(), name: &str, version: &str) -> Result<ModelMetadataResponse, Status> {
        Ok(metadata::model(&self.model(name, version)?))
    }

    async fn infer(
        &self,
        _caller: &(),
        request: ModelInferRequest,
        deadline: Option<Instant>,
    ) -> Result<ModelInferResponse, Status> {
        let ModelInferRequest { model_name, model_version, id, inputs, outputs, raw_input_contents, .. } = request;
        let backbone = self.model(&model_name, &model_version)?;
        outputs::check(&outputs)?;
        let images = tensors::read(inputs, raw_input_contents, metadata::input_size(&backbone))?;
        let count = images.len();
        let engine = self.engines.engine(&backbone.name).await?;
        let (priority, cache) = (Priority::Interactive, self.cache.clone());
        let admission = Admission { engine, priority, deadline, cache, recipe: None };
        let embeddings = embed::embed(&admission, images).await?;
        outputs::answer(&admission.engine.description, id, count, embeddings)
    }
}
