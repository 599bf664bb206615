//! The microservice chassis: what every Graft service needs and neither owns.
//!
//! It knows no domain type: no image, embedding, dataset or head passes through here.
//!
//! # Layout
//! - [`config`]: flags, environment and file become one typed value, in that order; a bad value exits 64.
//! - [`telemetry`]: logs in text or JSON, and the metrics recorder. [`metrics`]: what is told of them.
//! - [`admin`]: the HTTP port with `/metrics`, `/livez` and `/readyz`.
//! - [`calls`]: counts and times every gRPC call by method and status code.
//! - [`methods`]: the methods that are served, by name.
//! - [`deadline`]: how long the caller of a call waits.
//! - [`serve`]: binds, serves gRPC with health and reflection, and drains on SIGTERM or Ctrl-C.
//! - [`streams`]: the first message of a stream.
//! - [`version`]: each answer tells the version of Graft.
//! - [`status`]: the one way to build a gRPC status that names the field, what was wrong and what is accepted.

pub mod admin;
pub mod calls;
pub mod config;
pub mod deadline;
pub mod methods;
pub mod metrics;
pub mod serve;
pub mod status;
pub mod streams;
pub mod telemetry;
pub mod version;
