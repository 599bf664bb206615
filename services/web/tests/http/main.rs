//! The layer before a real server, spoken to over HTTP/1.1 and HTTP/2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test fails by it")]

mod caller;
mod echo;
mod envelopes;
mod grpc;
mod limits;
mod malformed;
mod pages;
mod refused;
mod streams;
mod unary;
