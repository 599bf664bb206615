//! The commands of a contract with every kind of field and call, against a real server; and those of Graft's own contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bytes_in;
mod bytes_out;
mod calls;
mod graft;
mod mistakes;
mod output;
mod reference;
mod reflection;
mod round_trip;
mod support;
