//! What the server and its models say of themselves.

use std::collections::BTreeMap;

use graft_inference::{
    metadata::{self, ANY, tensor},
    outputs::CLASSIFICATION,
    pictures::IMAGE,
};
use graft_proto::inference::{ModelMetadataResponse, ServerMetadataResponse};
use serde_json::json;

use super::{inputs::EMBEDDING, model::Model, outputs};

/// What runs a head.
const PLATFORM: &str = "graft_head";

/// The server.
pub fn server() -> ServerMetadataResponse {
    metadata::server(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), &[CLASSIFICATION])
}

/// A model. A request fills one of its inputs.
pub fn model(model: &Model) -> ModelMetadataResponse {
    let (dimension, classes) = (model.dimension(), model.labels().len());
    let inputs = format!(
        "one of: `{IMAGE}`, BYTES [n] or [n, 1]: image files, UINT8 [n, height, width, channels] or [height, width, \
         channels]: pixels, grey or RGB; `{EMBEDDING}`, FP32 or FP16 [n, {dimension}]: embeddings of the space"
    );
    let outputs = outputs::of(model.gives_several()).iter();
    ModelMetadataResponse {
        name: model.name().to_owned(),
        versions: vec![model.version().to_string()],
        platform: PLATFORM.to_owned(),
        inputs: vec![tensor(IMAGE, "BYTES", &[ANY]), tensor(EMBEDDING, "FP32", &[ANY, dimension as i64])],
        outputs: outputs.map(|one| tensor(one.name(), one.datatype(), &one.shape(ANY, classes))).collect(),
        properties: BTreeMap::from([
            ("embedding_space".to_owned(), model.space().to_owned()),
            ("inputs".to_owned(), inputs),
            ("labels".to_owned(), json!(model.labels().iter().collect::<Vec<_>>()).to_string()),
            ("multi_label".to_owned(), model.gives_several().to_string()),
        ]),
    }
}
