//! Client of Graft's two services: connects, waits until they are ready, retries what is safe to retry, and hides the
//! chunks and the back-pressure of streams.
//!
//! # Layout
//! - [`connect`]: [`Graft`] and [`Service`], the connections and the generated stubs.
//! - [`error`]: [`Error`], what went wrong, told apart by what a caller can do about it.
//! - [`retry`]: calls that change nothing, made again when the service was unavailable for a moment.
//! - [`import`](mod@import): a stream of examples in, outcomes out.
//! - [`extract`](mod@extract): a stream of images in, embeddings out.
//! - [`classify`]: a stream of inputs in, classifications out.
//! - `outbound`, `replies`: the two halves of such a stream.
//!
//! It holds no state, and knows no file format.

#![forbid(unsafe_code)]

pub mod classify;
pub mod connect;
pub mod error;
pub mod extract;
pub mod import;
mod outbound;
mod replies;
pub mod retry;

pub use classify::classify_many;
pub use connect::{Graft, Service};
pub use error::{Error, Kind};
pub use extract::extract;
pub use graft_proto::v1 as proto;
pub use import::import;
pub use replies::Replies;
