//! The connections and the generated stubs.
//!
//! # Layout
//! - `address`: where a service is. [`tls`]: how both sides prove who they are. [`token`]: who calls. `dial`: connections.
//! - `ready`: waiting until a service takes work.

use graft_proto::v1::{
    classifier_service_client::ClassifierServiceClient, dataset_service_client::DatasetServiceClient,
    extractor_service_client::ExtractorServiceClient, feedback_service_client::FeedbackServiceClient,
    head_service_client::HeadServiceClient, maintenance_service_client::MaintenanceServiceClient,
    training_service_client::TrainingServiceClient,
};
use tonic::{
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};

use self::{address::Address, token::Bearer};
use crate::{
    Error,
    calls::{Calls, How},
    config::{Settings, Told},
    retry::Retry,
};

mod address;
mod dial;
mod ready;
pub mod tls;
pub mod token;

/// The largest message that the services take or send, in bytes.
pub const MESSAGE_BYTES: usize = (16 << 20) + (64 << 10);

/// One of the two services.
#[derive(Clone, Debug)]
pub struct Service {
    name: &'static str,
    url: String,
    calls: Calls,
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
    /// The services that the environment and the file of contexts name; those of this machine if they name none.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Address`]. Whether somebody listens there shows with the first call.
    pub fn connect() -> Result<Graft, Error> {
        Graft::with(&Told::default().settings()?)
    }

    /// The services at these addresses, whatever the environment and the file of contexts say, and without a token.
    ///
    /// # Errors
    /// [`Error::Address`] if one is no URL. Whether somebody listens there shows with the first call.
    pub fn new(trainer: &str, extractor: &str) -> Result<Graft, Error> {
        let (trainer, extractor) = (trainer.to_owned(), extractor.to_owned());
        Graft::with(&Settings { trainer, extractor, ..Settings::default() })
    }

    /// The services that `settings` name. The files that they name are read now, and again for each connection.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Address`]. Whether somebody listens there shows with the first call.
    pub fn with(settings: &Settings) -> Result<Graft, Error> {
        let trainer = Service::new("trainer", &settings.trainer, settings)?;
        Ok(Graft { trainer, extractor: Service::new("extractor", &settings.extractor, settings)? })
    }

    /// The service of this name, `trainer` or `extractor`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        [&self.trainer, &self.extractor].into_iter().find(|service| service.name == name)
    }
}

macro_rules! stubs {
    ($($method:ident: $client:ident),* $(,)?) => {
        $(
            #[doc = concat!("The stub `", stringify!($client), "`.")]
            pub fn $method(&self) -> $client<Calls> {
                $client::new(self.calls.clone())
                    .max_decoding_message_size(MESSAGE_BYTES)
                    .max_encoding_message_size(MESSAGE_BYTES)
            }
        )*
    };
}

impl Service {
    fn new(name: &'static str, url: &str, settings: &Settings) -> Result<Service, Error> {
        let address = Address::parse(url)?;
        if settings.token.is_some() && !address.tls && !address.is_loopback() {
            let reason = format!(
                "it would be sent to the {name} at {url} for all to read; an https:// address, or a loopback one, is accepted"
            );
            return Err(Error::Config { place: "token".into(), reason });
        }
        let how = How {
            bearer: settings.token.clone().map(Bearer::new).transpose()?,
            retry: settings.retry,
            resume: settings.resume,
            deadline: settings.deadline,
        };
        let channel = dial::channel(&address, &settings.tls)?;
        Ok(Service { name, url: address.url, calls: Calls::new(channel, how) })
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

    /// What the stubs call through, for stubs of other contracts: it adds the token, deadlines and retries.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// The bare connection, for those who add the rest themselves: [`Service::metadata`] at least.
    pub fn channel(&self) -> Channel {
        self.calls.channel().clone()
    }

    /// What each call on [`Service::channel`] must bring: the token, if there is one.
    pub fn metadata(&self) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        let header = self.calls.bearer().map(Bearer::header);
        if let Some(value) = header.and_then(|header| MetadataValue::try_from(header.as_bytes()).ok()) {
            metadata.insert("authorization", value);
        }
        metadata
    }

    /// How its streams that were lost are opened again.
    pub(crate) fn resume(&self) -> Retry {
        self.calls.resume()
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

    /// The error for an answer that the contract does not allow.
    pub(crate) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Malformed { service: self.name, reason: reason.into() }
    }
}
