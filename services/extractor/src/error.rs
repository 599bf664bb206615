//! The one place where the extractor's errors become gRPC statuses.

use graft_chassis::status;
use graft_pull::allowed::error::FetchError;
use tonic::Status;

use crate::{
    backbone::{catalogue::Absent, listed::LoadError},
    decode::DecodeError,
    input::TensorError,
};

/// The status of an image that could not be decoded.
pub fn decode_status(error: &DecodeError) -> Status {
    status::invalid(error.field(), error.to_string())
}

/// The status of an image by URI that was not fetched.
pub fn fetch_status(error: &FetchError) -> Status {
    match error {
        FetchError::NotAllowed => status::invalid("image.uri", format!("{error} (--image-uri of the extractor)")),
        // The request is right, and may do later.
        FetchError::Unavailable(_) => status::unavailable(format!("image.uri: {error}")),
        error => status::invalid("image.uri", error.to_string()),
    }
}

/// The status of a tensor that cannot be run.
pub fn tensor_status(error: &TensorError) -> Status {
    status::invalid("tensor", error.to_string())
}

/// The status of a request for a backbone that cannot be had.
pub fn absent_backbone(absent: Absent) -> Status {
    match absent {
        Absent::Unknown { name, known } => {
            status::not_found("backbone", &name, &format!("this extractor serves: {known}"))
        }
        other @ (Absent::Broken { .. } | Absent::Version { .. }) => status::precondition("backbone", other.to_string()),
    }
}

/// The status of a request for a backbone whose model cannot be read.
pub fn load_status(error: LoadError) -> Status {
    match error {
        // The next scan knows more.
        LoadError::Unreadable { .. } | LoadError::Changed(_) => status::unavailable(format!("backbone: {error}")),
        LoadError::Undetachable(_) => status::precondition("backbone", error.to_string()),
        LoadError::Lost(_) => status::internal(error.to_string()),
    }
}
