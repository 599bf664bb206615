//! What went wrong, told apart by what a caller can do about it.

use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is no URL.
    #[error(
        "{url} is no address: {reason}; one such as http://127.0.0.1:7400 or https://graft.example.org is accepted"
    )]
    Address {
        /// What was given.
        url: String,
        /// Why it is none.
        reason: String,
    },
    /// What says how to connect is wrong: the file of contexts, a variable, a file of TLS or the token.
    #[error("{place}: {reason}")]
    Config {
        /// Where it stands.
        place: String,
        /// What is wrong with it, and what is accepted.
        reason: String,
    },
    /// The service cannot be reached: start it, or try later.
    #[error("the {service} at {url} cannot be reached: {reason}")]
    Unreachable {
        /// `trainer` or `extractor`.
        service: &'static str,
        /// Its address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// The service refused; the message says what was wrong and what is accepted.
    #[error("{}", refusal(.0))]
    Refused(Status),
    /// The service broke off before it had answered.
    #[error("the {0} ended the stream before it had answered everything")]
    Incomplete(&'static str),
    /// The service answered what the contract does not allow.
    #[error("the {service}'s answer cannot be used: {reason}")]
    Malformed {
        /// `trainer` or `extractor`.
        service: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Give another address: this one is no URL.
    Address,
    /// Correct what says how to connect.
    Config,
    /// Start the service, or try again later: it, or one that it needs, cannot be reached.
    Unreachable,
    /// Name something that exists.
    NotFound,
    /// Change the request: [`Error::violations`] may say where.
    Invalid,
    /// Change what is there first: the name is taken, or the state does not allow it.
    Conflict,
    /// Ask for less, or later: a limit was reached.
    Exhausted,
    /// Give more time: the answer did not come before the deadline. Whether the work was done is not known.
    Deadline,
    /// Say who calls: give a token, or another one.
    Unauthenticated,
    /// Ask somebody who may: the caller is known, and not allowed to.
    Denied,
    /// Nothing: the service failed.
    Failed,
}

/// A part of a request that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which part, such as `options.l2`.
    pub field: String,
    /// What was wrong with it, and what is accepted.
    pub description: String,
}

impl Error {
    /// The error that a status of `service` at `url` stands for.
    pub fn from_status(service: &'static str, url: &str, status: Status) -> Error {
        // What a connection that fails looks like: no code of the service's own.
        let transport = std::error::Error::source(&status).is_some();
        match status.code() {
            // A service says so too, as a status of its own.
            Code::Cancelled if is_late(&status) => {
                Error::Refused(Status::deadline_exceeded("no answer before the deadline; a longer one may be given"))
            }
            Code::Unavailable | Code::Unknown | Code::Cancelled if transport => {
                Error::Unreachable { service, url: url.to_owned(), reason: root_cause(&status) }
            }
            _ => Error::Refused(status),
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Address { .. } => Kind::Address,
            Error::Config { .. } => Kind::Config,
            Error::Unreachable { .. } => Kind::Unreachable,
            Error::Incomplete(_) | Error::Malformed { .. } => Kind::Failed,
            Error::Refused(status) => match status.code() {
                Code::Unavailable => Kind::Unreachable,
                Code::NotFound => Kind::NotFound,
                Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
                Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Kind::Conflict,
                Code::ResourceExhausted => Kind::Exhausted,
                Code::DeadlineExceeded => Kind::Deadline,
                Code::Unauthenticated => Kind::Unauthenticated,
                Code::PermissionDenied => Kind::Denied,
                _ => Kind::Failed,
            },
        }
    }

    /// Whether the service itself said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.kind() == Kind::NotFound
    }

    /// Whether a service could not be reached; also one that the called service needs.
    pub fn is_unreachable(&self) -> bool {
        self.kind() == Kind::Unreachable
    }

    /// Whether the same call may succeed later, unchanged. Whether it is safe to make it again is another question, which
    /// [`crate::calls::methods`] answers.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            Kind::Unreachable => true,
            Kind::Exhausted => self.retry_after().is_some(),
            _ => matches!(self, Error::Incomplete(_)),
        }
    }

    /// How long the service asks to wait before the call is made again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(status) => status.get_details_retry_info().and_then(|info| info.retry_delay),
            _ => None,
        }
    }

    /// The part of the request that was wrong, if the service named one.
    pub fn field(&self) -> Option<String> {
        self.violations().into_iter().next().map(|violation| violation.field)
    }

    /// The service's status, if it gave one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Error::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// The parts of the request that the service called wrong, as far as it named them.
    pub fn violations(&self) -> Vec<Violation> {
        match self {
            Error::Refused(status) => violations(status),
            _ => Vec::new(),
        }
    }
}

fn is_late(status: &Status) -> bool {
    status.message() == TimeoutExpired(()).to_string() || crate::calls::find::<TimeoutExpired>(status).is_some()
}

fn violations(status: &Status) -> Vec<Violation> {
    let details = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    details.into_iter().map(|bad| Violation { field: bad.field, description: bad.description }).collect()
}

/// The service's message, and those of its details that it does not repeat.
fn refusal(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    for Violation { field, description } in violations(status) {
        if !text.contains(&field) || !text.contains(&description) {
            text += &format!("; {field}: {description}");
        }
    }
    text
}

fn root_cause(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn error(status: Status) -> Error {
        Error::from_status("trainer", "http://x", status)
    }

    #[test]
    fn a_refusal_is_no_lost_connection() {
        let refused = error(Status::not_found("head `a` does not exist"));
        assert!(refused.is_not_found() && !refused.is_unreachable());
        assert_eq!(refused.to_string(), "head `a` does not exist");
        let behind = error(Status::unavailable("the extractor is down"));
        assert!(behind.is_unreachable() && behind.to_string().contains("extractor"));
        let lost = error(Status::from_error(Box::new(std::io::Error::other("connection refused"))));
        assert!(matches!(&lost, Error::Unreachable { .. }) && lost.kind() == Kind::Unreachable, "{lost:?}");
        assert_eq!(lost.to_string(), "the trainer at http://x cannot be reached: connection refused");
    }

    #[test]
    fn each_code_says_what_can_be_done() {
        let kinds = [
            (Code::InvalidArgument, Kind::Invalid),
            (Code::AlreadyExists, Kind::Conflict),
            (Code::FailedPrecondition, Kind::Conflict),
            (Code::ResourceExhausted, Kind::Exhausted),
            (Code::NotFound, Kind::NotFound),
            (Code::Internal, Kind::Failed),
            (Code::DeadlineExceeded, Kind::Deadline),
            (Code::Unauthenticated, Kind::Unauthenticated),
            (Code::PermissionDenied, Kind::Denied),
        ];
        for (code, kind) in kinds {
            assert_eq!(error(Status::new(code, "x")).kind(), kind, "{code:?}");
        }
        assert!(!error(Status::new(Code::Internal, "")).to_string().is_empty());
    }

    #[test]
    fn what_may_pass_is_told_and_when() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let with = |code| error(Status::with_error_details(code, "x", details.clone()));
        assert_eq!(with(Code::Unavailable).retry_after(), Some(Duration::from_secs(3)));
        assert!(with(Code::Unavailable).is_retryable() && with(Code::ResourceExhausted).is_retryable());
        assert!(!error(Status::resource_exhausted("too large")).is_retryable(), "nothing says that it would help");
        assert!(Error::Incomplete("trainer").is_retryable() && !with(Code::NotFound).is_retryable());
        let late = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(error(late).kind(), Kind::Deadline);
    }

    #[test]
    fn the_field_that_was_wrong_is_named_once() {
        let details = ErrorDetails::with_bad_request_violation("options.l2", "-1; greater than 0 is accepted");
        let bare = Status::with_error_details(Code::InvalidArgument, "a bad request", details.clone());
        let bare = error(bare);
        assert_eq!(bare.to_string(), "a bad request; options.l2: -1; greater than 0 is accepted");
        assert_eq!((bare.violations()[0].field.as_str(), bare.field().as_deref()), ("options.l2", Some("options.l2")));
        let told = "options.l2: -1; greater than 0 is accepted";
        let told = error(Status::with_error_details(Code::InvalidArgument, told, details));
        assert_eq!(told.to_string(), "options.l2: -1; greater than 0 is accepted");
    }
}
