//! gRPC services for callers that have no gRPC: browsers, curl, and whatever speaks HTTP and JSON.
//!
//! A layer in front of all services of a server, on the same port. What is gRPC goes through as it came. grpc-web
//! becomes gRPC; so does JSON, by the services' own descriptors, so that no method needs code of its own. What is
//! behind the layer (metrics, limits, the services) sees gRPC calls and nothing else.
//!
//! # Layout
//! - [`gate`]: the layer; what is gRPC goes through, the rest is [`web`]'s.
//! - [`web`]: what a request asks for, by its path, its method and its content type. [`contract`]: the methods that are served.
//! - [`cors`]: the pages that may call. [`linger`]: requests that are answered before they have come whole.
//! - [`grpc_web`]: calls in grpc-web.
//! - [`call`]: calls in JSON. [`form`]: how a body holds messages; [`messages`]: they are read one by one; [`answer`]: they are
//!   written one by one. [`json`]: a message in JSON and in protobuf; [`transcode`]: large ones are few at a time.
//!   [`query`]: a message in a URL. [`codec`]: messages as bytes.
//! - [`metadata`]: headers and metadata. [`deadline`]: how long the caller waits. [`refusal`]: errors, in JSON.

#![forbid(unsafe_code)]

mod answer;
mod call;
mod codec;
mod contract;
pub mod cors;
mod deadline;
mod form;
pub mod gate;
mod grpc_web;
mod json;
mod linger;
mod messages;
mod metadata;
mod query;
mod refusal;
mod transcode;
mod web;

pub use cors::Origin;
pub use gate::WebLayer;
pub use prost_reflect::DescriptorError;
