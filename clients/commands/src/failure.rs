//! What went wrong, for people, and the exit code.

use std::{error::Error, fmt, process::ExitCode};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What is said when the call took too long.
pub const OVERDUE: &str = "the time that --timeout gives is over";

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or asks for help: clap says so itself.
    Usage(Box<clap::Error>),
    /// Something that was to be read or written could not be, or is not what it should be.
    Input(String),
    /// The service refused, or failed.
    Refused(Box<Status>),
    /// The service cannot be reached.
    Unreachable {
        /// Its address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// Whoever read the answers has seen enough.
    Closed,
}

impl Failure {
    /// Wrong usage, in clap's words.
    pub fn usage(command: &mut clap::Command, kind: clap::error::ErrorKind, message: String) -> Failure {
        Failure::Usage(Box::new(command.error(kind, message)))
    }

    /// What the status of a call to `url` stands for.
    pub fn of_call(url: &str, status: Status) -> Failure {
        // A connection that fails leaves its error in the status; a service cannot.
        let transport = status.source().is_some();
        match status.code() {
            _ if causes(&status).any(|cause| cause.is::<tonic::TimeoutExpired>()) => {
                Failure::Refused(Box::new(Status::deadline_exceeded(OVERDUE)))
            }
            Code::Unavailable | Code::Unknown | Code::Cancelled if transport => {
                Failure::Unreachable { url: url.to_owned(), reason: root(&status) }
            }
            _ => Failure::Refused(Box::new(status)),
        }
    }

    /// Tell it, and give the exit code: 0 done, 1 failed, 2 wrong usage, 3 a service cannot be reached.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::Usage(error) => {
                // A terminal that is gone cannot be told anything.
                let _ = error.print();
            }
            Failure::Closed => {}
            other => eprintln!("error: {other}"),
        }
        ExitCode::from(self.code())
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Failure::Input(_) => 1,
            Failure::Refused(status) if status.code() == Code::Unavailable => 3,
            Failure::Refused(_) => 1,
            Failure::Unreachable { .. } => 3,
            Failure::Closed => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(error) => write!(to, "{error}"),
            Failure::Input(message) => to.write_str(message),
            Failure::Refused(status) => to.write_str(&refusal(status)),
            Failure::Unreachable { url, reason } => write!(to, "{url} cannot be reached: {reason}"),
            Failure::Closed => to.write_str("nobody reads the answers"),
        }
    }
}

impl Error for Failure {}

/// The message of the service, its code, and those of its details that the message does not say.
fn refusal(status: &Status) -> String {
    let message = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    let mut lines = vec![format!("{message} ({})", name(status.code()))];
    let details = status.get_error_details();
    for bad in details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default() {
        if !(message.contains(&bad.field) && message.contains(&bad.description)) {
            lines.push(format!("  {}: {}", bad.field, bad.description));
        }
    }
    for failed in details.precondition_failure().map(|failure| failure.violations.as_slice()).unwrap_or_default() {
        if !message.contains(&failed.description) {
            lines.push(format!("  {}: {}", failed.subject, failed.description));
        }
    }
    for over in details.quota_failure().map(|failure| failure.violations.as_slice()).unwrap_or_default() {
        if !message.contains(&over.description) {
            lines.push(format!("  {}: {}", over.subject, over.description));
        }
    }
    if let Some(resource) = details.resource_info().filter(|resource| !message.contains(&resource.resource_name)) {
        lines.push(format!("  {} {}: {}", resource.resource_type, resource.resource_name, resource.description));
    }
    if let Some(after) = details.retry_info().and_then(|retry| retry.retry_delay) {
        lines.push(format!("  it may be tried again after {}", seconds(after)));
    }
    if let Some(help) = details.help() {
        lines.extend(help.links.iter().map(|link| format!("  {}: {}", link.description, link.url)));
    }
    lines.join("\n")
}

fn seconds(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The code's name in the protocol, such as `INVALID_ARGUMENT`.
pub fn name(code: Code) -> String {
    crate::names::kebab(&format!("{code:?}")).replace('-', "_").to_uppercase()
}

fn root(status: &Status) -> String {
    causes(status).last().map(ToString::to_string).unwrap_or_default()
}

/// The status and what caused it, one after the other.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next: Option<&(dyn Error + 'static)> = Some(status);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn details_are_told_once() {
        let mut details = ErrorDetails::with_bad_request_violation("options.l2", "-1; more than 0 is accepted");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let bare = Status::with_error_details(Code::InvalidArgument, "a bad request", details.clone());
        let told = Failure::of_call("http://x", bare).to_string();
        assert_eq!(
            told,
            "a bad request (INVALID_ARGUMENT)\n  options.l2: -1; more than 0 is accepted\n  it may be tried again after 1.5 s"
        );
        let said =
            Status::with_error_details(Code::InvalidArgument, "options.l2: -1; more than 0 is accepted", details);
        assert_eq!(Failure::of_call("http://x", said).to_string().lines().count(), 2);
    }

    #[test]
    fn a_lost_connection_is_told_from_a_refusal() {
        let lost = Status::from_error(Box::new(std::io::Error::other("connection refused")));
        let lost = Failure::of_call("http://x:1", lost);
        assert_eq!((lost.code(), lost.to_string().as_str()), (3, "http://x:1 cannot be reached: connection refused"));
        assert_eq!(Failure::of_call("http://x", Status::not_found("no head")).code(), 1);
        assert_eq!(Failure::of_call("http://x", Status::unavailable("later")).code(), 3);
        assert_eq!(Failure::Closed.code(), 0);
    }
}
