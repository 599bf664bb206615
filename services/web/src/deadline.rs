//! How long the caller of a call waits: `Connect-Timeout-Ms`, or gRPC's own `grpc-timeout`.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::refusal::Refusal;

/// The server below says it in gRPC that `grpc-timeout` is over, which who speaks JSON does not understand: it is said here
/// this much earlier.
const EARLIER: Duration = Duration::from_millis(5);
/// The largest number in a `grpc-timeout`, which has at most eight digits.
const MOST: u64 = 99_999_999;

/// When the caller stops waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    timeout: Option<Duration>,
}

impl Deadline {
    /// What the headers say.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Deadline, Refusal> {
        let connect =
            read(headers, "connect-timeout-ms", "a number of milliseconds of at most ten digits", milliseconds)?;
        let grpc = read(headers, "grpc-timeout", "at most eight digits and one of H, M, S, m, u and n", grpc)?;
        let timeout = connect.into_iter().chain(grpc).min();
        let soon = timeout.map(|timeout| timeout.saturating_sub(EARLIER.min(timeout / 4)));
        Ok(Deadline { at: soon.and_then(|soon| Instant::now().checked_add(soon)), timeout })
    }

    /// The timeout as gRPC has it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let timeout = self.timeout?;
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let text = match milliseconds {
            0 => format!("{}n", timeout.as_nanos()),
            1..=MOST => format!("{milliseconds}m"),
            _ => format!("{}S", timeout.as_secs().min(MOST)),
        };
        HeaderValue::from_str(&text).ok()
    }

    /// Wait for something, but no longer than the caller.
    pub(crate) async fn within<T, E: From<Status>>(&self, what: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Some(at) = self.at else { return what.await };
        timeout_at(at, what).await.unwrap_or_else(|_| {
            let milliseconds = self.timeout.unwrap_or_default().as_millis();
            Err(Status::deadline_exceeded(format!("the {milliseconds} ms that the caller waits are over")).into())
        })
    }
}

fn read(
    headers: &HeaderMap,
    name: &str,
    accepted: &str,
    parse: impl Fn(&str) -> Option<Duration>,
) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str().ok().and_then(parse) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Refusal::invalid(format!("header {name}: {accepted} is accepted"))),
    }
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let fine = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

fn milliseconds(text: &str) -> Option<Duration> {
    digits(text, 10).map(Duration::from_millis)
}

fn grpc(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = digits(number, 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &'static str, value: &'static str) -> Result<String, Refusal> {
        let deadline = Deadline::of(&[(name, value)].iter().map(header).collect())?;
        Ok(deadline.header().unwrap().to_str().unwrap().to_owned())
    }

    fn header((name, value): &(&'static str, &'static str)) -> (http::HeaderName, HeaderValue) {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    #[test]
    fn a_timeout_is_one_of_grpc() {
        assert_eq!(told("connect-timeout-ms", "250").unwrap(), "250m");
        assert_eq!(told("connect-timeout-ms", "9999999999").unwrap(), "9999999S");
        assert_eq!(told("connect-timeout-ms", "0").unwrap(), "0n");
        assert_eq!(told("grpc-timeout", "2S").unwrap(), "2000m");
        assert_eq!(told("grpc-timeout", "99999999H").unwrap(), "99999999S");
    }

    #[test]
    fn nonsense_is_refused_by_its_name() {
        for (name, value) in [
            ("connect-timeout-ms", "-1"),
            ("connect-timeout-ms", "12345678901"),
            ("connect-timeout-ms", ""),
            ("grpc-timeout", "5"),
            ("grpc-timeout", "+5S"),
            ("grpc-timeout", "123456789S"),
        ] {
            let refusal = told(name, value).unwrap_err();
            assert!(refusal.status.message().contains(name), "{value}: {refusal:?}");
        }
    }

    #[test]
    fn the_shorter_of_two_counts() {
        let both = [("connect-timeout-ms", "5000"), ("grpc-timeout", "1S")].iter().map(header).collect();
        assert_eq!(Deadline::of(&both).unwrap().timeout, Some(Duration::from_secs(1)));
    }
}
