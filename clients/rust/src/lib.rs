//! Client of Graft's two services: knows where they are, connects, waits until they are ready, retries what is safe to retry,
//! and hides the chunks and the back-pressure of streams.
//!
//! # Layout
//! - [`config`]: where to connect, and how: arguments, environment, and the file of contexts.
//! - [`connect`]: [`Graft`] and [`Service`], the connections and the generated stubs; TLS and tokens.
//! - [`calls`]: what each call brings: token, deadline, and retries where they are safe. [`retry`]: the pauses between.
//! - [`error`]: [`Error`], what went wrong, told apart by what a caller can do about it.
//! - [`import`](mod@import): a stream of examples in, outcomes out.
//! - [`extract`](mod@extract): a stream of images in, embeddings out.
//! - [`classify`]: a stream of inputs in, classifications out.
//! - [`watch`](mod@watch): a training run until it ends. [`heads`]: heads out and in. [`embeddings`](mod@embeddings): those of a dataset.
//! - [`stream`]: how such streams are filled, read, and gone on with when the connection was lost.
//!
//! It holds no state, and knows no file format but that of its contexts.

#![forbid(unsafe_code)]

pub mod calls;
pub mod classify;
pub mod config;
pub mod connect;
pub mod embeddings;
pub mod error;
pub mod extract;
pub mod heads;
pub mod import;
pub mod retry;
pub mod stream;
pub mod watch;

pub use classify::classify_many;
pub use config::{Settings, Told};
pub use connect::{Graft, Service, tls::Tls, token::Token};
pub use embeddings::embeddings;
pub use error::{Error, Kind};
pub use extract::extract;
pub use graft_proto::v1 as proto;
pub use heads::{export_head, import_head};
pub use import::import;
pub use retry::Retry;
pub use stream::Replies;
pub use watch::{wait_for, watch};
