//! The gRPC services: each only translates between the API and the modules that do the work.
//!
//! # Layout
//! - [`datasets`] is `graft.v1.DatasetService`; [`examples`] and [`snapshots`] are its calls about those, [`embeddings`] gives
//!   them out, [`augmentation`] is what it says of views.
//! - [`runs`] is `graft.v1.TrainingService`.
//! - [`heads`] is `graft.v1.HeadService`; [`aliases`] are its calls about those, [`promote`] is the one that has a gate;
//!   [`compare`] is that about two versions; [`split`] and [`traffic`] are those about who answers, and what; [`exchange`] are
//!   those that take heads in and give them out.
//! - [`classifier`] is `graft.v1.ClassifierService`; [`classify_stream`] is its stream.
//! - [`feedback`] is `graft.v1.FeedbackService`. [`maintenance`] is `graft.v1.MaintenanceService`.
//! - [`inference`] is `inference.GRPCInferenceService`.

use futures::stream::BoxStream;
use tonic::Status;

pub mod aliases;
pub mod augmentation;
pub mod classifier;
pub mod classify_stream;
pub mod compare;
pub mod datasets;
pub mod embeddings;
pub mod examples;
pub mod exchange;
pub mod feedback;
pub mod heads;
pub mod inference;
pub mod maintenance;
pub mod promote;
pub mod runs;
pub mod snapshots;
pub mod split;
pub mod traffic;

/// The answers of a server stream.
pub type Answers<T> = BoxStream<'static, Result<T, Status>>;
