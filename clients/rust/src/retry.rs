//! Calls that change nothing, made again when the service was unavailable for a moment.

use std::{
    collections::hash_map::RandomState,
    future::Future,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use crate::{Error, Service};

/// How often a call is made, at the most.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, whatever the service asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Service {
    /// Make a call that changes nothing, such as a get or a list. While the answer is UNAVAILABLE it is made again, four
    /// times in all, after pauses that grow. Each attempt may take 30 seconds.
    ///
    /// # Errors
    /// What the last attempt said.
    pub async fn read<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut attempt = 1;
        loop {
            let answer = match tokio::time::timeout(PATIENCE, call()).await {
                Ok(answer) => answer,
                Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} seconds", PATIENCE.as_secs()))),
            };
            let status = match answer {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if status.code() != Code::Unavailable || attempt == ATTEMPTS {
                return Err(self.error(status));
            }
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            tokio::time::sleep(pause(attempt, asked, random())).await;
            attempt += 1;
        }
    }
}

/// The pause after the failed attempt number `attempt`, counted from 1. What the service `asked` for is the least.
/// `random`, 0 to 1, spreads callers that failed together: up to a half is taken off.
fn pause(attempt: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
    let spread = doubled.min(LONGEST_PAUSE).mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0);
    spread.max(asked.unwrap_or_default()).min(LONGEST_PAUSE)
}

/// A number from 0 to 1. The standard library seeds each hasher anew, which is random enough to spread calls.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::Graft;

    fn trainer() -> Service {
        Graft::new("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap().trainer
    }

    #[test]
    fn pauses_grow_are_spread_and_have_an_end() {
        let milliseconds = |attempt, random| pause(attempt, None, random).as_millis();
        assert_eq!([1, 2, 3].map(|attempt| milliseconds(attempt, 0.0)), [100, 200, 400]);
        assert_eq!(milliseconds(1, 1.0), 50);
        assert_eq!(milliseconds(40, 0.0), LONGEST_PAUSE.as_millis());
        assert_eq!(pause(1, Some(Duration::from_secs(1)), 0.5), Duration::from_secs(1));
        assert_eq!(pause(1, Some(Duration::from_secs(3600)), 0.5), LONGEST_PAUSE);
        assert!((0.0..=1.0).contains(&random()));
    }

    #[tokio::test]
    async fn only_what_is_unavailable_is_tried_again() {
        let calls = Cell::new(0);
        let answer = trainer()
            .read(|| {
                calls.set(calls.get() + 1);
                let answer = if calls.get() < 3 { Err(Status::unavailable("starting")) } else { Ok(Response::new(7)) };
                async move { answer }
            })
            .await;
        assert_eq!((answer.unwrap(), calls.get()), (7, 3));

        calls.set(0);
        let answer: Result<(), Error> = trainer()
            .read(|| {
                calls.set(calls.get() + 1);
                async { Err(Status::not_found("no such head")) }
            })
            .await;
        assert!(answer.unwrap_err().is_not_found() && calls.get() == 1);
    }

    #[tokio::test]
    async fn it_gives_up() {
        let calls = Cell::new(0);
        let answer: Result<(), Error> = trainer()
            .read(|| {
                calls.set(calls.get() + 1);
                async { Err(Status::unavailable("the extractor is down")) }
            })
            .await;
        assert!(answer.unwrap_err().is_unreachable());
        assert_eq!(calls.get(), ATTEMPTS);
    }
}
