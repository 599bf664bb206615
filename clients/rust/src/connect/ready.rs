//! Waiting until a service takes work.

use std::time::{Duration, Instant};

use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::Service;
use crate::Error;

/// How long a question after its health may take to be answered.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait between two looks at whether a service is ready.
const LOOK: Duration = Duration::from_millis(50);

impl Service {
    /// Whether it takes work now.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it cannot be reached, or does not answer in time.
    pub async fn ready(&self) -> Result<bool, Error> {
        let mut health = HealthClient::new(self.calls());
        match tokio::time::timeout(ANSWER, health.check(HealthCheckRequest::default())).await {
            Ok(answer) => Ok(answer.map_err(|status| self.error(status))?.get_ref().status() == ServingStatus::Serving),
            Err(_) => Err(self.unreachable("it does not answer")),
        }
    }

    /// Wait until it takes work, for about `patience` at the most.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with what was wrong at the last.
    pub async fn wait_ready(&self, patience: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.ready().await {
                Ok(true) => return Ok(()),
                Err(error) if begun.elapsed() > patience => return Err(error),
                _ if begun.elapsed() > patience => return Err(self.unreachable("it is not ready")),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graft;

    #[tokio::test]
    async fn an_address_is_checked_and_a_silent_one_named() {
        assert!(matches!(Graft::new("nonsense", "http://x"), Err(Error::Address { .. })));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let graft = Graft::new(&url, &url).unwrap();
        let error = graft.trainer.wait_ready(Duration::from_millis(100)).await.unwrap_err();
        assert!(error.is_unreachable() && error.to_string().contains(&url), "{error}");
    }
}
