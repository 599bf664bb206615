//! What went wrong, told apart by what a caller can do about it.

use tonic::{Code, Status};

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is no URL.
    #[error("{url} is no address: {reason}; one such as http://127.0.0.1:7400 is accepted")]
    Address {
        /// What was given.
        url: String,
        /// Why it is none.
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
    #[error("{}", .0.message())]
    Refused(Status),
    /// The service broke off before it had answered.
    #[error("the {0} ended the stream before it had answered everything")]
    Incomplete(&'static str),
}

impl Error {
    /// The error that a status of `service` at `url` stands for.
    pub fn from_status(service: &'static str, url: &str, status: Status) -> Error {
        // What a connection that fails looks like: no code of the service's own.
        let transport = std::error::Error::source(&status).is_some();
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled if transport => {
                Error::Unreachable { service, url: url.to_owned(), reason: root_cause(&status) }
            }
            _ => Error::Refused(status),
        }
    }

    /// Whether the service itself said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Refused(status) if status.code() == Code::NotFound)
    }

    /// Whether a service could not be reached; also one that the called service needs.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Refused(status) => status.code() == Code::Unavailable,
            _ => false,
        }
    }
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
    use super::*;

    #[test]
    fn a_refusal_is_no_lost_connection() {
        let refused = Error::from_status("trainer", "http://x", Status::not_found("head `a` does not exist"));
        assert!(refused.is_not_found() && !refused.is_unreachable());
        assert_eq!(refused.to_string(), "head `a` does not exist");
        let behind = Error::from_status("trainer", "http://x", Status::unavailable("the extractor is down"));
        assert!(behind.is_unreachable() && behind.to_string().contains("extractor"));
        let lost = Status::from_error(Box::new(std::io::Error::other("connection refused")));
        let lost = Error::from_status("trainer", "http://x", lost);
        assert!(
            matches!(&lost, Error::Unreachable { .. }) && lost.to_string().contains("connection refused"),
            "{lost}"
        );
    }
}
