//! What can go wrong on the way of a file, with the place and the reason in it.

use std::{error::Error, io, path::PathBuf};

use object_store::client::{HttpError, HttpErrorKind};

/// Why a file was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not a path or URI that can be pulled from.
    #[error(
        "`{given}`: {reason}; a path, file://, https://, s3://, gs://, az:// or hf://OWNER/REPO[/FILE][@REVISION] is accepted"
    )]
    Source {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such file.
    #[error("{uri}: there is no such file{hint}")]
    NotFound {
        /// The place.
        uri: String,
        /// What may be the reason; begins with a comma or is empty.
        hint: &'static str,
    },
    /// A model keeps weights in a file that is not there.
    #[error("{model}: it keeps weights in another file, {uri}, and there is no such file")]
    NoData {
        /// The model's place.
        model: String,
        /// The place of the file beside it.
        uri: String,
    },
    /// The other side wants credentials, or others.
    #[error("{uri}: access was denied: {reason}")]
    Denied {
        /// The place.
        uri: String,
        /// What the other side said.
        reason: String,
    },
    /// The other side does not answer.
    #[error("{uri}: cannot be reached: {reason}")]
    Unreachable {
        /// The place.
        uri: String,
        /// What the connection said.
        reason: String,
    },
    /// The download broke off. What came is kept.
    #[error("{uri}: the download broke off after {done} of {total} bytes: {reason}; the same command continues there")]
    Interrupted {
        /// The place.
        uri: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// What the connection said.
        reason: String,
    },
    /// The file is too large.
    #[error("{uri}: {bytes} bytes; at most {limit} are accepted")]
    TooLarge {
        /// The place.
        uri: String,
        /// Its size.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The content is not what it should be.
    #[error("{uri}: its sha256 is {found}, but {expected} was expected")]
    Checksum {
        /// The place.
        uri: String,
        /// The checksum given by the user or the source.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// A repository of the hub holds other than one model file.
    #[error("{uri}: {}; name one: hf://OWNER/REPO/FILE", none_or_many(.found))]
    Choose {
        /// The repository.
        uri: String,
        /// Its model files.
        found: Vec<String>,
    },
    /// The file is no ONNX file, or not all of one.
    #[error("{uri}: {reason}")]
    NotOnnx {
        /// The place.
        uri: String,
        /// Where it is wrong.
        reason: String,
    },
    /// Another process downloads the same file.
    #[error("{0}: another download of it is under way")]
    Busy(String),
    /// A file of this machine cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the other side said.
    #[error("{uri}: {reason}")]
    Failed {
        /// The place.
        uri: String,
        /// What was said.
        reason: String,
    },
}

impl PullError {
    /// Whether the other side does not answer, so that trying later may help.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, PullError::Unreachable { .. })
    }

    /// The error for a file of this machine.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> PullError {
        let path = path.into();
        move |source| PullError::File { path, source }
    }

    /// What an object store's error means for the file at `uri`.
    pub fn from_store(uri: &str, error: object_store::Error) -> PullError {
        let uri = uri.to_owned();
        match error {
            object_store::Error::NotFound { .. } => PullError::NotFound { uri, hint: "" },
            object_store::Error::PermissionDenied { source, .. }
            | object_store::Error::Unauthenticated { source, .. } => {
                PullError::Denied { uri, reason: source.to_string() }
            }
            other if unanswered(&other) => PullError::Unreachable { uri, reason: innermost(&other) },
            other => PullError::Failed { uri, reason: other.to_string() },
        }
    }
}

fn none_or_many(found: &[String]) -> String {
    match found {
        [] => "it holds no .onnx file".to_owned(),
        some => format!("it holds {} .onnx files ({})", some.len(), some[..some.len().min(12)].join(", ")),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}

fn unanswered(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<HttpError>()).any(|cause| {
        use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
        matches!(cause.kind(), Connect | Interrupted | Request | Timeout)
    })
}

/// The last cause says most in the fewest words, such as `Connection refused`.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
