//! Streams of requests: their first message.

use std::time::Duration;

use tonic::{Status, Streaming};

/// How long the first message of a stream may take: a caller that opens streams and says nothing holds nothing for long.
const FIRST: Duration = Duration::from_secs(30);

/// The first message of a stream; `None` if it ends before there is one.
///
/// # Errors
/// DEADLINE_EXCEEDED if none comes within 30 seconds; what broke the stream.
pub async fn first<T>(requests: &mut Streaming<T>) -> Result<Option<T>, Status> {
    match tokio::time::timeout(FIRST, requests.message()).await {
        Ok(message) => message,
        Err(_) => {
            let seconds = FIRST.as_secs();
            Err(Status::deadline_exceeded(format!("the first message of the stream did not come within {seconds} s")))
        }
    }
}
