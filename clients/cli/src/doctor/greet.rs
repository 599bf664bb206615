//! What a service says of itself: whether it takes work, its version, its clock.

use std::time::{Duration, Instant, SystemTime};

use graft_client::{Error, Service};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The header that tells its version.
const VERSION: &str = "graft-version";

/// What a service said.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// Whether it takes work.
    pub ready: bool,
    /// Its version; none of one that is older than versions are told.
    pub version: Option<String>,
    /// How far its clock is ahead of ours, in seconds; what is below 0 is behind. Known to a second.
    pub ahead: Option<f64>,
    /// How long it took to answer.
    pub took: Duration,
}

/// Greet the service that has `contract`, such as `graft.v1.HeadService`.
///
/// # Errors
/// That it cannot be reached, refuses, or does not answer in time.
pub async fn greet(service: &Service, contract: &str) -> Result<Greeting, Error> {
    let mut health = HealthClient::new(service.calls());
    let begun = Instant::now();
    let answer =
        tokio::time::timeout(PATIENCE, health.check(HealthCheckRequest { service: contract.to_owned() })).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("it does not answer")));
    let answer = answer.map_err(|status| match status.code() {
        Code::NotFound | Code::Unimplemented => {
            let message = format!("{} answers, but has no {contract}: another service is there", service.url());
            service.error(Status::not_found(message))
        }
        _ => service.error(status),
    })?;
    let ready = answer.get_ref().status() == ServingStatus::Serving;
    let header = |name: &str| header(answer.metadata(), name);
    let ahead = header("date").and_then(|date| ahead(&date, SystemTime::now()));
    Ok(Greeting { ready, version: header(VERSION), ahead, took: begun.elapsed() })
}

fn header(metadata: &MetadataMap, name: &str) -> Option<String> {
    Some(metadata.get(name)?.to_str().ok()?.to_owned())
}

/// Seconds from `now` to `date`, which is told as HTTP does: in whole seconds, rounded down.
fn ahead(date: &str, now: SystemTime) -> Option<f64> {
    let date = httpdate::parse_http_date(date).ok()? + Duration::from_millis(500);
    Some(match date.duration_since(now) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let ahead = |date: &str| ahead(date, now).map(|seconds| seconds.floor());
        assert_eq!(ahead("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0.0));
        assert_eq!(ahead("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60.0));
        assert_eq!(ahead("Sun, 06 Nov 1994 08:48:37 GMT"), Some(-60.0));
        assert_eq!(ahead("yesterday"), None);
    }
}
