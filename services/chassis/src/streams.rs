//! Streams of requests: their messages, while they do not take too long.

use std::time::Duration;

use tonic::{Status, Streaming};

/// How long a message of a stream may take: a caller that opens streams and says nothing holds nothing for long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first message of a stream; `None` if it ends before there is one.
///
/// # Errors
/// DEADLINE_EXCEEDED if none comes within 30 seconds; what broke the stream.
pub async fn first<T>(requests: &mut Streaming<T>) -> Result<Option<T>, Status> {
    within(requests, "first").await
}

/// The next message of a stream whose caller has nothing to wait for; `None` after the last.
///
/// # Errors
/// The same.
pub async fn next<T>(requests: &mut Streaming<T>) -> Result<Option<T>, Status> {
    within(requests, "next").await
}

async fn within<T>(requests: &mut Streaming<T>, which: &str) -> Result<Option<T>, Status> {
    match tokio::time::timeout(PATIENCE, requests.message()).await {
        Ok(message) => message,
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(Status::deadline_exceeded(format!("the {which} message of the stream did not come within {seconds} s")))
        }
    }
}
