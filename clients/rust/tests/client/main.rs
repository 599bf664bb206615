//! The client against real gRPC servers, over real connections: what they answer is scripted, so that they fail when they are
//! told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test fails by it")]

mod certificates;
mod retries;
mod scripted;
mod server;
mod streams;
mod tls;
mod tokens;
