//! The gRPC services: each only translates between the API and the modules that do the work.
//!
//! # Layout
//! - [`datasets`]: `graft.v1.DatasetService`.
//! - [`runs`]: `graft.v1.TrainingService`.
//! - [`heads`]: `graft.v1.HeadService`.
//! - [`classifier`]: `graft.v1.ClassifierService`.

use futures::stream::BoxStream;
use tonic::Status;

pub mod classifier;
pub mod datasets;
pub mod heads;
pub mod runs;

/// The answers of a server stream.
pub type Answers<T> = BoxStream<'static, Result<T, Status>>;
