//! Patience with a database that is restarted and a bucket that is busy.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// How long something is tried again. A restart of PostgreSQL, or a change of its leader, is over by then; a person who waits
/// is told by then.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The first wait, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// How often and for how long something is tried again.
#[derive(Debug)]
pub struct Patience {
    begun: Instant,
    most: Duration,
    wait: Duration,
}

impl Patience {
    /// For `most` from now on.
    pub fn new(most: Duration) -> Patience {
        Patience { begun: Instant::now(), most, wait: WAITS[0] }
    }

    /// Wait before the next try, after one that failed with `error`.
    ///
    /// # Errors
    /// The same one, if the next try would fail too, or it was tried for long enough.
    pub async fn wait(&mut self, error: StoreError) -> Result<(), StoreError> {
        if !error.is_passing() || self.begun.elapsed() + self.wait > self.most {
            return Err(error);
        }
        tracing::warn!(%error, "the state cannot be reached; trying again");
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(WAITS[1]);
        Ok(())
    }
}

/// Do something that may be done again, and again until it succeeds, fails for good, or has been tried for long enough. (It is
/// no function: the compiler does not see yet that the futures of a borrowing `async ||` can be sent to other threads.)
macro_rules! patiently {
    ($most:expr, $attempt:expr) => {{
        let mut patience = $crate::store::retry::Patience::new($most);
        loop {
            match $attempt.await {
                Ok(done) => break Ok(done),
                Err(error) => {
                    if let Err(error) = patience.wait(error).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(crate) use patiently;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_passes_is_tried_again_for_a_while_and_what_stays_is_not() {
        let after = async |failures: u32, error: fn() -> sqlx::Error| {
            let mut tries = 0;
            let mut attempt = async || {
                tries += 1;
                if tries > failures { Ok(()) } else { Err(StoreError::from(error())) }
            };
            let done: Result<(), StoreError> = patiently!(Duration::from_millis(500), attempt());
            (done.is_ok(), tries)
        };
        assert_eq!(after(2, || sqlx::Error::PoolTimedOut).await, (true, 3));
        assert_eq!(after(1, || sqlx::Error::RowNotFound).await, (false, 1));
        let (ok, tries) = after(1000, || sqlx::Error::PoolTimedOut).await;
        assert!(!ok && (2..4).contains(&tries), "{tries}");
    }
}
