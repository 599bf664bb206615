//! The trainer: keeps labelled embeddings, fits classifier heads on them, and serves the heads over gRPC.
//!
//! It never opens an image or an ONNX file: the extractor does, and streams embeddings back.
//!
//! # Layout
//! The straight line, left to right:
//! - [`import`]: labelled images in, an outcome for each out; [`content`]: what an image is known by.
//! - [`embed`]: the client of the extractor.
//! - [`store`]: facts in SQLite, immutable artifacts in files.
//! - [`fit`]: a head from embeddings; [`evaluate`]: how good it is; [`train`]: one run, from examples to a head.
//! - [`runs`]: the worker that fits one run after the other.
//! - [`classify`]: a head's answer.
//! - [`service`] is gRPC.
//!
//! Around it: [`config`], [`error`], [`names`], [`paging`].

pub mod classify;
pub mod config;
pub mod content;
pub mod embed;
pub mod error;
pub mod evaluate;
pub mod fit;
pub mod import;
pub mod names;
pub mod paging;
pub mod runs;
pub mod service;
pub mod store;
pub mod train;
