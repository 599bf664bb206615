//! The one place where the extractor's errors become gRPC statuses.

use std::borrow::Cow;

use graft_chassis::status;
use tonic::Status;

use crate::{decode::DecodeError, input::TensorError};

/// Characters of a caller's text that a message repeats: a status travels in headers, which are short.
const SHOWN_CHARACTERS: usize = 64;

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
    status::not_found("backbone", &shown(name), &format!("this extractor serves: {}", known.join(", ")))
}

/// A caller's text as a message shows it: long ones are cut.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown("resnet-9000"), "resnet-9000");
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shown(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
        assert!(unknown_backbone(&"x".repeat(100_000), &["net"]).message().len() < 200);
    }
}
