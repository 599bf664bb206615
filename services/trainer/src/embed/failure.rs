//! What it means that an extractor does not do what was asked.

use std::error::Error;

use graft_chassis::status;
use tonic::{Code, Status, TimeoutExpired};

/// Why an extractor does not do what was asked, and so what to do next.
#[derive(Debug)]
pub enum Failure {
    /// It cannot be reached: another may.
    Unreached(String),
    /// It was lost after it had begun: another may do what it had.
    Lost(String),
    /// It does not take this: another may.
    Refused(Status),
    /// It has an answer that would be the same elsewhere.
    Failed(Status),
}

impl Failure {
    /// What the status means of a call that the extractor had not taken yet.
    pub fn of_call(status: Status) -> Failure {
        match lost(&status) {
            Some(why) => Failure::Unreached(why),
            None if timed_out(&status) => Failure::Failed(too_late()),
            None => Failure::Refused(anew(status)),
        }
    }

    /// What the status means that ended a stream.
    pub fn of_stream(status: Status) -> Failure {
        match lost(&status) {
            Some(why) => Failure::Lost(why),
            None if timed_out(&status) => Failure::Failed(too_late()),
            None => Failure::Failed(anew(status)),
        }
    }
}

/// Why the connection was refused or lost, if that is what the status means.
pub fn lost(status: &Status) -> Option<String> {
    // A status that was not received but made here has a source.
    let made_here = status.source().is_some() && !timed_out(status);
    (made_here || status.code() == Code::Unavailable).then(|| cause(status))
}

/// Whether the time that the caller had is over.
fn timed_out(status: &Status) -> bool {
    let mut error = status.source();
    while let Some(source) = error {
        if source.is::<TimeoutExpired>() {
            return true;
        }
        error = source.source();
    }
    status.code() == Code::DeadlineExceeded
}

fn too_late() -> Status {
    status::too_late("the deadline passed before the extractor had answered")
}

/// The innermost error: what the system said.
fn cause(status: &Status) -> String {
    let Some(mut error) = status.source() else { return status::quoted(status.message()) };
    while let Some(source) = error.source() {
        error = source;
    }
    status::quoted(&error.to_string())
}

/// The status said anew, without the metadata of the extractor's answer.
fn anew(status: Status) -> Status {
    Status::with_details(status.code(), status.message(), status.details().to_vec().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_the_extractor_said_is_passed_on() {
        let said = status::invalid("image.encoded", "no image");
        let Failure::Refused(passed) = Failure::of_call(anew(said.clone())) else { panic!("it was said, not lost") };
        assert_eq!((passed.code(), passed.message(), passed.details()), (said.code(), said.message(), said.details()));
        assert!(matches!(Failure::of_stream(said), Failure::Failed(_)));
    }

    #[test]
    fn a_connection_that_is_lost_says_nothing_of_what_was_asked() {
        let mut status = Status::unknown("transport error");
        status.set_source(Arc::new(std::io::Error::other("connection reset")));
        assert!(matches!(Failure::of_stream(status), Failure::Lost(why) if why == "connection reset"));
        assert!(
            matches!(Failure::of_call(Status::unavailable("draining")), Failure::Unreached(why) if why == "draining")
        );
    }

    #[test]
    fn a_caller_without_time_says_nothing_of_the_extractor() {
        let mut status = Status::cancelled("Timeout expired");
        status.set_source(Arc::new(TimeoutExpired(())));
        let Failure::Failed(late) = Failure::of_call(status) else { panic!("nobody was lost") };
        assert_eq!(late.code(), Code::DeadlineExceeded);
    }
}
