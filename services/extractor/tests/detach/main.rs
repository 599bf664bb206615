//! Detaching the classifier of all kinds of graphs, and running what is left with ONNX Runtime.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod bad_graphs;
mod famous_line;
mod features;
mod graphs;
mod mutations;
mod outputs;
mod precisions;
mod running;
mod transformers;
