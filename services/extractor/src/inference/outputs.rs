//! Which outputs are wanted, and the answer with them.

use std::collections::BTreeMap;

use bytes::Bytes;
use graft_chassis::status;
use graft_proto::{
    inference::{
        InferParameter, ModelInferResponse, ModelStreamInferResponse, model_infer_request::InferRequestedOutputTensor,
        model_infer_response::InferOutputTensor,
    },
    v1::Backbone,
};
use tonic::Status;

use super::metadata::{OUTPUT, version};

/// A parameter of Triton's by which a tensor stays out of the message.
const SHARED_MEMORY: &str = "shared_memory_region";
/// A parameter of Triton's that asks for labels instead of numbers.
const CLASSIFICATION: &str = "classification";

/// Check that nothing but the embedding is wanted, and that in the message.
pub fn check(wanted: &[InferRequestedOutputTensor]) -> Result<(), Status> {
    for output in wanted {
        if output.name != OUTPUT {
            let message =
                format!("`{}` is no output of this model; `{OUTPUT}` is its only one", status::quoted(&output.name));
            return Err(status::invalid("outputs.name", message));
        }
        no_shared_memory("outputs.parameters", &output.parameters)?;
        if output.parameters.contains_key(CLASSIFICATION) {
            let message = format!("`{CLASSIFICATION}` is not supported: a backbone knows no labels");
            return Err(status::invalid("outputs.parameters", message));
        }
    }
    Ok(())
}

/// Check that a tensor's parameters do not put it into shared memory: ignored, that would be answered with nonsense.
pub fn no_shared_memory(field: &str, parameters: &BTreeMap<String, InferParameter>) -> Result<(), Status> {
    if parameters.contains_key(SHARED_MEMORY) {
        let message = format!("`{SHARED_MEMORY}` is not supported; tensors travel in the messages");
        return Err(status::invalid(field, message));
    }
    Ok(())
}

/// The answer to the request `id`: `embeddings` are `[count, dimension]`, f32, little-endian.
pub fn answer(backbone: &Backbone, id: String, count: usize, embeddings: Bytes) -> ModelInferResponse {
    let output = InferOutputTensor {
        name: OUTPUT.to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![count as i64, i64::from(backbone.dimension)],
        ..Default::default()
    };
    ModelInferResponse {
        model_name: backbone.name.clone(),
        model_version: version(backbone).to_owned(),
        id,
        outputs: vec![output],
        raw_output_contents: vec![embeddings],
        ..Default::default()
    }
}

/// The answer to the request `id` of a stream, which goes on whatever became of it.
pub fn streamed(model: String, id: String, outcome: Result<ModelInferResponse, Status>) -> ModelStreamInferResponse {
    match outcome {
        Ok(response) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) },
        Err(status) => ModelStreamInferResponse {
            // The code has no field of its own here.
            error_message: format!("{:?}: {}", status.code(), status.message()),
            infer_response: Some(ModelInferResponse { model_name: model, id, ..Default::default() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, parameters: &[&str]) -> Vec<InferRequestedOutputTensor> {
        let parameters = parameters.iter().map(|key| ((*key).to_owned(), InferParameter::default())).collect();
        vec![InferRequestedOutputTensor { name: name.to_owned(), parameters }]
    }

    #[test]
    fn what_cannot_be_given_is_refused_and_the_rest_ignored() {
        assert!(check(&[]).is_ok());
        assert!(check(&wanted("embedding", &["binary_data"])).is_ok());
        for (wanted, word) in [
            (wanted("logits", &[]), "logits"),
            (wanted("embedding", &["classification"]), "labels"),
            (wanted("embedding", &["shared_memory_region"]), "shared_memory_region"),
        ] {
            let status = check(&wanted).unwrap_err();
            assert!(status.message().starts_with("outputs.") && status.message().contains(word), "{status:?}");
        }
    }

    #[test]
    fn a_failed_request_of_a_stream_is_an_answer_with_its_id() {
        let failed = streamed("net".into(), "7".into(), Err(status::invalid("inputs", "none")));
        assert_eq!(failed.error_message, "InvalidArgument: inputs: none");
        assert_eq!(failed.infer_response.unwrap().id, "7");
        let done = streamed("net".into(), "8".into(), Ok(ModelInferResponse::default()));
        assert!(done.error_message.is_empty());
    }
}
