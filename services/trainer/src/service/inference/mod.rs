//! `inference.GRPCInferenceService` for clients of Triton and KServe: heads are its models.
//!
//! It translates, and adds nothing: images are embedded by the extractor, and answers are those of a classification. What all
//! models have of the protocol is in `graft-inference`.
//!
//! # Layout
//! - [`model`]: a head as a model.
//! - [`inputs`]: the input tensor of a request: images or embeddings.
//! - [`embed`]: the images of one request become embeddings, all or none.
//! - [`outputs`]: which outputs are wanted, and what is in them.
//! - [`metadata`]: what the server and its models say of themselves.

pub mod embed;
pub mod inputs;
pub mod metadata;
pub mod model;
pub mod outputs;

use std::time::Instant;

use graft_chassis::{admin::Ready, status};
use graft_inference::{Inference, Models, Permits, outputs::answer};
use graft_proto::inference::{ModelInferRequest, ModelInferResponse, ModelMetadataResponse, ServerMetadataResponse};
use metrics::counter;
use tonic::{Request, Status};

use self::{inputs::Input, model::Model};
use crate::{
    classify::{HeadCache, Scores},
    embed::Extractor,
    names::Tenant,
};

/// The heads as models.
#[derive(Debug)]
pub struct HeadModels {
    heads: HeadCache,
    extractor: Extractor,
}

/// Serve `heads`, embedding with `extractor`, to at most `calls` calls and `streams` streams at once; `ready` says whether the
/// trainer takes work.
pub fn service(
    heads: HeadCache,
    extractor: Extractor,
    calls: usize,
    streams: usize,
    ready: Ready,
) -> Inference<HeadModels> {
    let calls = Permits::new(calls, "this trainer has as many inferences under way as it takes (--max-classify-calls)");
    let streams = Permits::new(
        streams,
        "this trainer has as many streams of inferences open as it takes (--max-classify-streams)",
    );
    Inference::new(HeadModels { heads, extractor }, calls, streams, ready)
}

#[tonic::async_trait]
impl Models for HeadModels {
    type Caller = Tenant;

    fn caller<T>(request: &Request<T>) -> Tenant {
        Tenant::of(request)
    }

    fn server(&self) -> ServerMetadataResponse {
        metadata::server()
    }

    async fn describe(&self, tenant: &Tenant, name: &str, version: &str) -> Result<ModelMetadataResponse, Status> {
        Ok(metadata::model(&Model::find(&self.heads, tenant, "name", name, version).await?))
    }

    async fn infer(
        &self,
        tenant: &Tenant,
        request: ModelInferRequest,
        deadline: Option<Instant>,
    ) -> Result<ModelInferResponse, Status> {
        let ModelInferRequest { model_name, model_version, id, parameters, inputs, outputs, raw_input_contents } =
            request;
        let model = Model::find(&self.heads, tenant, "model_name", &model_name, &model_version).await?;
        inputs::space(&parameters)?.map_or(Ok(()), |told| model.check_space(told))?;
        let wanted = outputs::wanted(&outputs, model.gives_several())?;
        let embeddings = match inputs::read(inputs, raw_input_contents, model.dimension())? {
            Input::Embeddings(embeddings) => embeddings,
            Input::Images(images) => embed::embed(&self.extractor, &model, images, deadline).await?,
        };
        let rows = embeddings.rows;
        let scores = model.scores(embeddings.numbers, rows).await?;
        check_finite(&scores, model.labels().len())?;
        let tensors = outputs::tensors(&wanted, model.labels(), rows, &scores)?;
        counter!("graft_trainer_classifications_total").increment(rows as u64);
        answer(model.name().to_owned(), model.version().to_string(), id, tensors)
    }
}

/// Check that every score is a number: finite embeddings of absurd size may have none.
fn check_finite(scores: &Scores, classes: usize) -> Result<(), Status> {
    match scores.logits.iter().position(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(index) => {
            let message = "its numbers are too large: the head's sums over them are not finite";
            Err(status::invalid(&format!("inputs.{}[{}]", inputs::EMBEDDING, index / classes.max(1)), message))
        }
    }
}
