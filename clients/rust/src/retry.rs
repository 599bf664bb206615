//! How what failed for a moment is made again: pauses that grow, are spread by chance, and have an end.
//!
//! [`crate::calls::methods`] says which calls are made again, and why no others are.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

/// How often something is tried, and the pauses between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often, the first time included; 1 for never again.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub first_pause: Duration,
    /// The longest of those pauses. A service may ask for a longer one.
    pub longest_pause: Duration,
    /// The longest pause that a service may ask for; if it asks for more, nothing is tried again.
    pub patience: Duration,
}

impl Default for Retry {
    /// Four attempts within about a second.
    fn default() -> Retry {
        Retry {
            attempts: 4,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            patience: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// Nothing is tried again.
    pub const NEVER: Retry =
        Retry { attempts: 1, first_pause: Duration::ZERO, longest_pause: Duration::ZERO, patience: Duration::ZERO };

    /// Of streams: eight openings within about 15 seconds, which is time enough for a service to be started again.
    pub const STREAM: Retry = Retry {
        attempts: 8,
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(5),
        patience: Duration::from_secs(30),
    };

    /// The pause after the failed attempt number `attempt`, counted from 1; none if it was the last. What the service
    /// `asked` for is the least. `random`, 0 to 1, spreads callers that failed together: up to a half is taken off, and up to a
    /// tenth is added to what was asked for.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<Duration>, random: f64) -> Option<Duration> {
        if attempt >= self.attempts || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        let random = random.clamp(0.0, 1.0);
        let doubled = self.first_pause.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
        let spread = doubled.min(self.longest_pause).mul_f64(1.0 - random / 2.0);
        Some(asked.map_or(spread, |asked| spread.max(asked.mul_f64(1.0 + random / 10.0))))
    }
}

/// A number from 0 to 1. The standard library seeds each hasher anew, which is random enough to spread calls.
pub(crate) fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_spread_and_have_an_end() {
        let retry = Retry { attempts: 100, ..Retry::default() };
        let milliseconds = |attempt, random| retry.pause(attempt, None, random).unwrap().as_millis();
        assert_eq!([1, 2, 3].map(|attempt| milliseconds(attempt, 0.0)), [100, 200, 400]);
        assert_eq!(milliseconds(1, 1.0), 50);
        assert_eq!(milliseconds(40, 0.0), retry.longest_pause.as_millis());
        assert!((0.0..=1.0).contains(&random()));
    }

    #[test]
    fn what_the_service_asks_for_is_the_least() {
        let retry = Retry::default();
        let asked = |seconds, random| retry.pause(1, Some(Duration::from_secs(seconds)), random);
        assert_eq!(asked(0, 0.0), Some(Duration::from_millis(100)));
        assert_eq!(asked(5, 0.0), Some(Duration::from_secs(5)));
        assert!(asked(5, 1.0).unwrap() > Duration::from_secs(5), "callers that failed together do not come together");
        assert_eq!(asked(3600, 0.5), None);
    }

    #[test]
    fn it_gives_up() {
        assert!(Retry::default().pause(3, None, 0.5).is_some());
        assert_eq!(Retry::default().pause(4, None, 0.5), None);
        assert_eq!(Retry::NEVER.pause(1, None, 0.5), None);
    }
}
