//! Deadlines as they travel: the header `grpc-timeout`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");
/// A number in it has at most eight digits.
const MOST: u128 = 99_999_999;

/// How long the caller waits, if it said so.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The header's value, in the finest unit that fits.
pub fn value(time: Duration) -> HeaderValue {
    let text = [(time.as_micros(), "u"), (time.as_millis(), "m"), (u128::from(time.as_secs()), "S")]
        .into_iter()
        .find(|(number, _)| *number <= MOST)
        .map_or_else(|| format!("{MOST}S"), |(number, unit)| format!("{number}{unit}"));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("60S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let again = |time| {
            let headers = HeaderMap::from_iter([(HEADER, value(time))]);
            assert!(headers[HEADER].len() <= 9);
            read(&headers)
        };
        for time in [0, 1, 250, 60_000, 600_000, 100_000_000, 90_000_000_000].map(Duration::from_millis) {
            assert_eq!(again(time), Some(time));
        }
        assert_eq!(again(Duration::MAX), Some(Duration::from_secs(99_999_999)));
        for odd in ["", "5", "m", "-1S", "5x"] {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static(odd))]);
            assert_eq!(read(&headers), None, "{odd}");
        }
    }
}
