//! Why nothing was fetched. The URI is not repeated: whoever asked for it knows it.

use crate::error::innermost;

/// What a prefix may be.
pub const PREFIXES: &str = "file:///DIRECTORY, https://HOST/PATH, http://HOST/PATH, s3://BUCKET/PATH, gs://BUCKET/PATH or \
                            az://CONTAINER/PATH is accepted";

/// A prefix that cannot be allowed.
#[derive(Debug, thiserror::Error)]
#[error("`{given}`: {reason}; {PREFIXES}")]
pub struct PrefixError {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is no URI, or one with something in it that could mislead.
    #[error("{0}")]
    Malformed(String),
    /// It is below none of the prefixes. Nothing was asked of anybody.
    #[error("it is below none of the allowed prefixes")]
    NotAllowed,
    /// There is nothing there.
    #[error("there is no such file")]
    NotFound,
    /// The other side gives it to nobody, or to others.
    #[error("access was denied: {0}")]
    Denied(String),
    /// More bytes than are taken.
    #[error("more than {0} bytes, which are the most that are accepted")]
    TooLarge(u64),
    /// The other side sends us elsewhere.
    #[error("the server redirects (status {0}), which is not followed; name the place itself")]
    Redirected(u16),
    /// The other side does not answer, or not with a file. Later it may.
    #[error("it cannot be fetched now: {0}")]
    Unavailable(String),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> FetchError {
        FetchError::Unavailable(innermost(&error))
    }
}

impl From<object_store::Error> for FetchError {
    fn from(error: object_store::Error) -> FetchError {
        match error {
            object_store::Error::NotFound { .. } => FetchError::NotFound,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                FetchError::Denied("by the store".into())
            }
            other => FetchError::Unavailable(innermost(&other)),
        }
    }
}
