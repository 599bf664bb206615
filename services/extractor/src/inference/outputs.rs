//! Which outputs are wanted, and the answer with them.

use bytes::Bytes;
use graft_chassis::status;
use graft_inference::outputs::{self, CLASSIFICATION, Output};
use graft_proto::{
    inference::{ModelInferResponse, model_infer_request::InferRequestedOutputTensor},
    v1::Backbone,
};
use tonic::Status;

use super::metadata::{OUTPUT, version};

/// Check that nothing but the embedding is wanted, and that in the message.
pub fn check(wanted: &[InferRequestedOutputTensor]) -> Result<(), Status> {
    for output in wanted {
        outputs::check(output, &[OUTPUT])?;
        if output.parameters.contains_key(CLASSIFICATION) {
            let message = format!("`{CLASSIFICATION}` is not supported: a backbone knows no labels");
            return Err(status::invalid("outputs.parameters", message));
        }
    }
    Ok(())
}

/// The answer to the request `id`: `embeddings` are `[count, dimension]`, f32, little-endian.
pub fn answer(backbone: &Backbone, id: String, count: usize, embeddings: Bytes) -> Result<ModelInferResponse, Status> {
    let shape = vec![count as i64, i64::from(backbone.dimension)];
    let output = Output { name: OUTPUT, datatype: "FP32", shape, data: embeddings };
    outputs::answer(backbone.name.clone(), version(backbone).to_owned(), id, vec![output])
}

#[cfg(test)]
mod tests {
    use graft_proto::inference::InferParameter;

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
}
