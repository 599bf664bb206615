//! The one place where the extractor's errors become gRPC statuses.

use graft_chassis::status;
use tonic::Status;

use crate::{decode::DecodeError, input::TensorError};

/// The status of an image that could not be decoded.
pub fn decode_status(error: &DecodeError) -> Status {
    status::invalid(error.field(), error.to_string())
}

/// The status of a tensor that cannot be run.
pub fn tensor_status(error: &TensorError) -> Status {
    status::invalid("tensor", error.to_string())
}

/// The status of a request for a backbone that is not there.
pub fn unknown_backbone(name: &str, known: &[&str]) -> Status {
    status::not_found("backbone", name, &format!("this extractor serves: {}", known.join(", ")))
}
