//! End-to-end tests and benchmarks: real services in real processes, spoken to from outside.
//!
//! Nothing here is linked into a service, and no service is linked into a test. (The benchmarks link the extractor's
//! library, to measure what its parts do without a wire between them.)
//!
//! # Layout
//! - [`services`]: start, watch, kill and restart the binaries.
//! - [`calls`]: the few calls that most tests make. [`command`]: the `graft` command.
//! - [`made_up`]: embeddings without images. [`fashion`]: rows of Fashion-MNIST; [`pictures`]: images good and bad, made on the spot; [`forms`]: labelled images in the
//!   forms that are imported.
//! - [`exported`]: exported files, read and run by Python.
//! - [`tls`]: TLS in front of a service. [`browser`]: pages in a real browser. [`web`]: a web server of images. [`bucket`] and [`postgres`]: what they keep state in,
//!   from `graft-backing`.
//! - [`bench`]: the benchmarks behind `make bench`; `src/bin/graft-bench.rs` runs them.
//! - `tests/`: the tests, a file for each promise.

pub mod bench;
pub mod browser;
pub mod calls;
pub mod command;
pub mod exported;
pub mod fashion;
pub mod forms;
pub mod made_up;
pub mod pictures;
pub mod services;
pub mod tls;
pub mod web;

pub use graft_backing::{bucket, postgres};
