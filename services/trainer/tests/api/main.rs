//! The trainer through its own API, in this process, and its figures against those of scikit-learn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test fails by it")]

mod compare;
mod datasets;
mod exchange;
mod figures;
mod import;
mod label_sets;
mod metrics;
mod peer;
mod place;
mod runs;
mod set_runs;
mod unlabelled;
mod views;
