//! The one way to build a gRPC status: it names the field, what was wrong and what is accepted.
//!
//! The same facts travel as `google.rpc` details for programs: `BadRequest`, `ResourceInfo`, `PreconditionFailure`,
//! `QuotaFailure` and `RetryInfo`.

use std::time::Duration;

use graft_proto::v1::ItemError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Characters of what a caller sent that are told back: headers, which carry statuses, are small.
const QUOTED: usize = 80;

/// How long a caller should wait before it tries again what was unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a caller sent, so that it can be told back: no longer than a line, and no control characters.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    shown
}

/// A part of the request is wrong; `message` says what, and what is accepted.
pub fn invalid(field: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let details = ErrorDetails::with_bad_request_violation(field, message.clone());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {message}"), details)
}

/// There is no such thing; `hint` says which there are, or how to make one.
pub fn not_found(kind: &str, name: &str, hint: &str) -> Status {
    let name = quoted(name);
    let message = format!("{kind} `{name}` does not exist; {hint}");
    let details = ErrorDetails::with_resource_info(kind, name.clone(), "", message.clone());
    Status::with_error_details(Code::NotFound, message, details)
}

/// The name is taken; `hint` says what to do.
pub fn already_exists(kind: &str, name: &str, hint: &str) -> Status {
    let name = quoted(name);
    let message = format!("{kind} `{name}` exists already; {hint}");
    let details = ErrorDetails::with_resource_info(kind, name.clone(), "", message.clone());
    Status::with_error_details(Code::AlreadyExists, message, details)
}

/// The request is well formed, but the state of `subject` does not allow it.
pub fn precondition(subject: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let details = ErrorDetails::with_precondition_failure_violation("STATE", subject, message.clone());
    Status::with_error_details(Code::FailedPrecondition, format!("{subject}: {message}"), details)
}

/// `subject` is not as the caller saw it: somebody else changed it. Who looks again may want the same still.
pub fn changed(subject: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let details = ErrorDetails::with_precondition_failure_violation("STATE", subject, message.clone());
    Status::with_error_details(Code::Aborted, format!("{subject}: {message}"), details)
}

/// A limit was reached; `message` names it.
pub fn exhausted(subject: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let mut details = ErrorDetails::with_quota_failure_violation(subject, message.clone());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, format!("{subject}: {message}"), details)
}

/// Something that is needed is not there now; trying again later may help.
pub fn unavailable(message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The deadline passed before the work was begun.
pub fn too_late(message: impl Into<String>) -> Status {
    Status::deadline_exceeded(message)
}

/// A fault of ours. It is logged here; the caller is told what failed.
pub fn internal(message: impl Into<String>) -> Status {
    let message = message.into();
    tracing::error!(%message, "internal error");
    Status::internal(message)
}

/// The status of one item as data, for streams that go on.
pub fn to_item_error(status: &Status) -> ItemError {
    ItemError { code: status.code() as i32, field: field_of(status), message: status.message().to_owned() }
}

/// The status that an item's error stands for, for a caller that asked about that item alone.
pub fn from_item_error(error: &ItemError) -> Status {
    let code = Code::from_i32(error.code);
    if error.field.is_empty() {
        return Status::new(code, error.message.clone());
    }
    let details = ErrorDetails::with_bad_request_violation(error.field.clone(), error.message.clone());
    Status::with_error_details(code, error.message.clone(), details)
}

fn field_of(status: &Status) -> String {
    let bad_request = status.get_details_bad_request();
    bad_request.and_then(|bad| bad.field_violations.into_iter().next()).map(|v| v.field).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_error_is_its_status_and_back() {
        let status = invalid("image.pixels.data", "783 bytes; 28 * 28 * 1 = 784 are expected");
        let error = to_item_error(&status);
        assert_eq!(error.field, "image.pixels.data");
        let back = from_item_error(&error);
        assert_eq!((back.code(), back.message()), (status.code(), status.message()));
        assert_eq!(to_item_error(&back), error);
    }

    #[test]
    fn what_is_told_back_is_short_and_plain() {
        assert_eq!(quoted("fashion@3"), "fashion@3");
        assert_eq!(quoted("a\nb\0"), "a\\nb\\0");
        let long = "ä".repeat(1 << 20);
        assert_eq!(quoted(&long).chars().count(), QUOTED + 1);
        assert!(not_found("head", &long, "see `graft heads`").message().len() < 300);
    }

    #[test]
    fn what_is_unavailable_says_when_to_try_again() {
        let retry = unavailable("the extractor is down").get_details_retry_info();
        assert_eq!(retry.and_then(|r| r.retry_delay), Some(RETRY_AFTER));
    }
}
