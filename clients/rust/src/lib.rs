//! Client of Graft's two services: connects, waits until they are ready, and hides the chunks of streams.
//!
//! # Layout
//! - [`connect`]: [`Graft`], the connections and the generated stubs.
//! - [`error`]: [`Error`], what went wrong, told apart by what a caller can do about it.
//! - [`import`]: a stream of examples in, outcomes out.
//!
//! It holds no state, and knows no file format.

pub mod connect;
pub mod error;
pub mod import;

pub use connect::Graft;
pub use error::Error;
pub use graft_proto::v1 as proto;
