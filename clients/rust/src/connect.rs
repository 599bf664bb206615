//! The connections and the generated stubs.

use std::time::{Duration, Instant};

use graft_proto::v1::{
    classifier_service_client::ClassifierServiceClient, dataset_service_client::DatasetServiceClient,
    extractor_service_client::ExtractorServiceClient, feedback_service_client::FeedbackServiceClient,
    head_service_client::HeadServiceClient, maintenance_service_client::MaintenanceServiceClient,
    training_service_client::TrainingServiceClient,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::Error;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent service is asked whether it lives this often, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a question after its health may take to be answered.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait between two looks at whether a service is ready.
const LOOK: Duration = Duration::from_millis(50);
/// The largest message that the services take or send, in bytes.
pub const MESSAGE_BYTES: usize = (16 << 20) + (64 << 10);

/// One of the two services.
#[derive(Clone, Debug)]
pub struct Service {
    name: &'static str,
    url: String,
    channel: Channel,
}

/// Both services. Connections are made when they are needed, and again when they are lost.
#[derive(Clone, Debug)]
pub struct Graft {
    /// Datasets, training, heads, classification, feedback.
    pub trainer: Service,
    /// Backbones and embeddings.
    pub extractor: Service,
}

impl Graft {
    /// The services at these addresses.
    ///
    /// # Errors
    /// [`Error::Address`] if one is no URL. Whether somebody listens there shows with the first call.
    pub fn new(trainer: &str, extractor: &str) -> Result<Graft, Error> {
        Ok(Graft { trainer: Service::new("trainer", trainer)?, extractor: Service::new("extractor", extractor)? })
    }
}

macro_rules! stubs {
    ($($method:ident: $client:ident),* $(,)?) => {
        $(
            #[doc = concat!("The stub `", stringify!($client), "`.")]
            pub fn $method(&self) -> $client<Channel> {
                $client::new(self.channel.clone())
                    .max_decoding_message_size(MESSAGE_BYTES)
                    .max_encoding_message_size(MESSAGE_BYTES)
            }
        )*
    };
}

impl Service {
    fn new(name: &'static str, url: &str) -> Result<Service, Error> {
        let wrong = |reason: String| Error::Address { url: url.to_owned(), reason };
        if !url.starts_with("http://") {
            return Err(wrong("it does not begin with http://".into()));
        }
        let channel = Endpoint::from_shared(url.to_owned())
            .map_err(|error| wrong(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .connect_lazy();
        Ok(Service { name, url: url.to_owned(), channel })
    }

    stubs! {
        datasets: DatasetServiceClient,
        training: TrainingServiceClient,
        heads: HeadServiceClient,
        classifier: ClassifierServiceClient,
        feedback: FeedbackServiceClient,
        maintenance: MaintenanceServiceClient,
        backbones: ExtractorServiceClient,
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bare connection, for other contracts than Graft's.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The error that a status of this service stands for.
    pub fn error(&self, status: tonic::Status) -> Error {
        Error::from_status(self.name, &self.url, status)
    }

    fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable { service: self.name, url: self.url.clone(), reason: reason.to_owned() }
    }

    /// The error for a stream that ended too early.
    pub fn incomplete(&self) -> Error {
        Error::Incomplete(self.name)
    }

    /// Whether it takes work now.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it cannot be reached, or does not answer in time.
    pub async fn ready(&self) -> Result<bool, Error> {
        let mut health = HealthClient::new(self.channel.clone());
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
