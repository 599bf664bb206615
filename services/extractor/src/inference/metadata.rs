//! What the server and its models say of themselves.

use std::collections::BTreeMap;

use graft_inference::{
    metadata::{self, ANY, tensor},
    pictures::IMAGE,
};
use graft_proto::{
    inference::{ModelMetadataResponse, ServerMetadataResponse},
    v1::Backbone,
};

use super::tensors::ImageSize;

/// The one input of every model.
pub const INPUT: &str = IMAGE;
/// The one output of every model.
pub const OUTPUT: &str = "embedding";
/// Triton's name for an ONNX file in ONNX Runtime.
const PLATFORM: &str = "onnxruntime_onnx";

/// A model's version: the hash in its embedding space, NAME@HASH.
pub fn version(backbone: &Backbone) -> &str {
    backbone.space.split_once('@').map_or("", |(_, hash)| hash)
}

/// What the network's input measures, and with it a tensor that the caller preprocessed.
pub fn input_size(backbone: &Backbone) -> ImageSize {
    let (height, width) = backbone.preprocessing.as_ref().map_or((0, 0), |p| (p.crop_height, p.crop_width));
    ImageSize { height, width }
}

/// The server.
pub fn server() -> ServerMetadataResponse {
    metadata::server(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), &[])
}

/// A model. Its input is listed once, as clients that send all listed inputs expect; the other ways to fill it are told in
/// the properties.
pub fn model(backbone: &Backbone) -> ModelMetadataResponse {
    let ImageSize { height, width } = input_size(backbone);
    let inputs = format!(
        "BYTES [n] or [n, 1]: JPEG or PNG; UINT8 [n, height, width, channels] or [height, width, channels]: pixels, grey \
         or RGB; FP32 [n, 3, {height}, {width}]: preprocessed"
    );
    ModelMetadataResponse {
        name: backbone.name.clone(),
        versions: vec![version(backbone).to_owned()],
        platform: PLATFORM.to_owned(),
        inputs: vec![tensor(INPUT, "BYTES", &[ANY])],
        outputs: vec![tensor(OUTPUT, "FP32", &[ANY, i64::from(backbone.dimension)])],
        properties: BTreeMap::from([
            ("embedding_space".to_owned(), backbone.space.clone()),
            ("inputs".to_owned(), inputs),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::Preprocessing;

    use super::*;

    #[test]
    fn a_model_is_its_backbone() {
        let preprocessing = Preprocessing { crop_height: 224, crop_width: 192, ..Default::default() };
        let backbone = Backbone {
            name: "net".into(),
            space: "net@0123456789abcdef".into(),
            dimension: 512,
            preprocessing: Some(preprocessing),
            ..Default::default()
        };
        let model = model(&backbone);
        assert_eq!((model.name.as_str(), model.versions), ("net", vec!["0123456789abcdef".to_owned()]));
        assert_eq!(model.outputs[0].shape, [-1, 512]);
        assert_eq!(model.properties["embedding_space"], "net@0123456789abcdef");
        assert!(model.properties["inputs"].contains("[n, 3, 224, 192]"));
    }
}
