//! The trainer: keeps labelled embeddings, fits classifier heads on them, and serves the heads over gRPC.
//!
//! It never opens an image or an ONNX file: the extractor does, and streams embeddings back.
//!
//! # Layout
//! The straight line, left to right:
//! - [`import`]: labelled images in, an outcome for each out; [`content`]: what an image is known by; [`given`]: embeddings that
//!   a caller has already.
//! - [`embed`]: the client of the extractor.
//! - [`store`]: facts in SQL, immutable artifacts in files or a bucket.
//! - [`fit`]: a head from embeddings; [`evaluate`]: how good it is; [`train`]: one run, from examples to a head.
//! - [`runs`]: the worker that fits one run after the other, and what the trainers of a cluster tell each other of runs.
//! - [`classify`]: a head's answer. [`compare`]: two versions beside each other.
//! - [`exchange`]: heads that were fitted elsewhere, and heads for elsewhere.
//! - [`service`] is gRPC.
//!
//! Around it: [`config`], [`error`], [`names`], [`paging`].

// The tests here share a module with those outside, which call the crate by its name.
#[cfg(test)]
extern crate self as graft_trainer;

pub mod classify;
pub mod compare;
pub mod config;
pub mod content;
pub mod embed;
pub mod error;
pub mod evaluate;
pub mod exchange;
pub mod fit;
pub mod given;
pub mod import;
pub mod names;
pub mod paging;
pub mod runs;
pub mod service;
pub mod store;
pub mod train;
