//! The gRPC services: each only translates between the API and the modules that do the work.
//!
//! # Layout
//! - [`datasets`] is `graft.v1.DatasetService`; [`examples`] and [`snapshots`] are its calls about those, [`augmentation`] what
//!   it says of views.
//! - [`runs`] is `graft.v1.TrainingService`.
//! - [`heads`] is `graft.v1.HeadService`.
//! - [`classifier`] is `graft.v1.ClassifierService`.
//! - [`inference`] is `inference.GRPCInferenceService`.

use futures::stream::BoxStream;
use tonic::Status;

pub mod augmentation;
pub mod classifier;
pub mod datasets;
pub mod examples;
pub mod heads;
pub mod inference;
pub mod runs;
pub mod snapshots;

/// The answers of a server stream.
pub type Answers<T> = BoxStream<'static, Result<T, Status>>;
