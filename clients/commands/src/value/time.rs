//! Moments and durations, as people write them.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};

/// Seconds of 0001-01-01, before which no moment of the contract can be.
const FIRST: i64 = -62_135_596_800;
/// The most seconds of a duration, either way.
const LONGEST: i64 = 315_576_000_000;
const MOMENTS: &str = "RFC 3339 such as 2026-01-31T12:00:00Z, a date, `now`, `2h ago` or `in 30m` is accepted";
const DURATIONS: &str = "a duration such as 1h30m, 250ms or 2.5s is accepted";

/// Seconds since 1970 and nanoseconds on top of them.
///
/// # Errors
/// What is accepted.
pub fn timestamp(text: &str) -> Result<(i64, i32), String> {
    let moment = moment(text.trim()).ok_or(MOMENTS)?;
    let (seconds, nanos) = (moment.as_second(), moment.subsec_nanosecond());
    // Of moments before 1970 both are negative; on the wire nanoseconds count forward.
    let (seconds, nanos) = if nanos < 0 { (seconds - 1, nanos + 1_000_000_000) } else { (seconds, nanos) };
    if seconds < FIRST { Err(MOMENTS.to_owned()) } else { Ok((seconds, nanos)) }
}

fn moment(text: &str) -> Option<Timestamp> {
    if text == "now" {
        return Some(Timestamp::now());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(date) = text.parse::<Date>() {
        return date.to_zoned_datetime(TimeZone::UTC).ok().map(|day| day.timestamp());
    }
    let ahead = text.strip_prefix("in ").or_else(|| text.strip_prefix('+'));
    let distance = span(ahead.or_else(|| text.ends_with("ago").then_some(text))?)?;
    Timestamp::now().checked_add(distance).ok()
}

/// Seconds and nanoseconds, both of one sign.
///
/// # Errors
/// What is accepted.
pub fn duration(text: &str) -> Result<(i64, i32), String> {
    let duration = span(text.trim()).filter(|_| !text.contains("ago")).ok_or(DURATIONS)?;
    let seconds = duration.as_secs();
    if seconds.abs() > LONGEST {
        return Err(format!("at most {LONGEST}s are accepted"));
    }
    Ok((seconds, duration.subsec_nanos()))
}

/// Days have 24 hours here.
fn span(text: &str) -> Option<SignedDuration> {
    if let Ok(duration) = text.parse::<SignedDuration>() {
        return Some(duration);
    }
    text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        assert_eq!(timestamp("1970-01-01T00:00:01.5Z"), Ok((1, 500_000_000)));
        assert_eq!(timestamp("1969-12-31T23:59:59.5Z"), Ok((-1, 500_000_000)));
        assert_eq!(timestamp("2026-01-31T12:00:00+01:00"), timestamp("2026-01-31T11:00:00Z"));
        assert_eq!(timestamp("2026-01-31"), timestamp("2026-01-31T00:00:00Z"));
        assert_eq!(timestamp("0001-01-01T00:00:00Z"), Ok((FIRST, 0)));
        let now = timestamp("now").unwrap().0;
        for (text, distance) in
            [("2h ago", -7200), ("in 30m", 1800), ("+1d", 86_400), ("1d 2h ago", -93_600), ("3w ago", -1_814_400)]
        {
            let found = timestamp(text).unwrap().0;
            assert!((found - now - distance).abs() <= 1, "{text}: {found} {now}");
        }
        for wrong in ["", "yesterday", "2h", "2026-13-01", "12:00", "-0001-01-01T00:00:00Z"] {
            assert!(timestamp(wrong).unwrap_err().contains("2h ago"), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("1h30m", (5400, 0)),
            ("250ms", (0, 250_000_000)),
            ("2.5s", (2, 500_000_000)),
            ("-1.5s", (-1, -500_000_000)),
            ("1d", (86_400, 0)),
            ("0s", (0, 0)),
            ("PT1H", (3600, 0)),
            ("315576000000s", (LONGEST, 0)),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for wrong in ["", "5", "soon", "1h ago", "1 month", "315576000001s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
