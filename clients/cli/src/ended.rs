//! How a command ends: exit codes, and what is said where it failed.

use std::{fmt, process::ExitCode};

use anyhow::Error;
use graft_client::Graft;
use tonic::Code;

use crate::{Done, interrupt::Interrupted, nearest, output::is_read_no_more, say};

/// What `graft --help` says of exit codes.
pub const EXIT_CODES: &str = "Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    a service, or a place to pull from, cannot be reached
  4    done, but some inputs were rejected
  130  interrupted by Ctrl-C (143: by SIGTERM); nothing is left half written";

/// A command line whose parts do not go together.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The error of a command line whose parts do not go together: exit code 2.
pub fn usage(what: impl Into<String>) -> Error {
    Usage(what.into()).into()
}

/// The exit code of a command; of one that failed, after what is to be said.
pub async fn code(outcome: anyhow::Result<Done>, graft: Option<&Graft>) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(Done::All) => 0,
        Ok(Done::Unwell) => 1,
        Ok(Done::Some) => 4,
        Err(error) if is_read_no_more(&error) => 0,
        Err(error) => {
            say::error(format_args!("{error:#}"));
            failed(&error, graft).await
        }
    })
}

async fn failed(error: &Error, graft: Option<&Graft>) -> u8 {
    if let Some(Interrupted { code, .. }) = error.downcast_ref() {
        return *code;
    }
    if error.is::<Usage>() {
        return 2;
    }
    if let Some(cause) = error.downcast_ref::<graft_client::Error>() {
        if cause.is_unreachable() {
            say::hint(
                "`graft up` starts both services on this machine; --trainer and --extractor, or a --context, name others; `graft doctor` looks for what is wrong",
            );
            return 3;
        }
        if matches!(cause, graft_client::Error::Refused(status) if status.code() == Code::Unimplemented) {
            say::hint("what answers there is another service, or another version; `graft doctor` tells which");
        }
        if let Some(graft) = graft
            && let Some(name) = nearest::to(cause, graft).await
        {
            say::hint(format_args!("did you mean `{name}`?"));
        }
    }
    if error.downcast_ref::<graft_pull::PullError>().is_some_and(|cause| cause.is_unreachable()) { 3 } else { 1 }
}
