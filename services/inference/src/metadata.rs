//! What a server and its models say of themselves.

use graft_proto::inference::{ServerMetadataResponse, model_metadata_response::TensorMetadata};

/// A dimension that may be any number.
pub const ANY: i64 = -1;

/// A server; `extensions` are those of the protocol's optional ones that it serves.
pub fn server(name: &str, version: &str, extensions: &[&str]) -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: name.to_owned(),
        version: version.to_owned(),
        extensions: extensions.iter().map(|extension| (*extension).to_owned()).collect(),
    }
}

/// An input or an output of a model.
pub fn tensor(name: &str, datatype: &str, shape: &[i64]) -> TensorMetadata {
    TensorMetadata { name: name.to_owned(), datatype: datatype.to_owned(), shape: shape.to_vec() }
}
