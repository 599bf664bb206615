//! The Open Inference Protocol, version 2, as every Graft service speaks it.
//!
//! It knows tensors and calls, and no model: what a backbone or a head is, is the business of the service that serves it.
//!
//! # Layout
//! - [`service`]: `inference.GRPCInferenceService` over whatever [`Models`] there are.
//! - [`inputs`]: which input tensor a request fills. [`contents`]: what it holds, raw or typed. [`shape`]: how many of what it says
//!   it holds.
//! - [`pictures`]: a tensor of images.
//! - [`outputs`]: which outputs are wanted, and the answer with them.
//! - [`metadata`]: what a server and its models say of themselves.

pub mod contents;
pub mod inputs;
pub mod metadata;
pub mod outputs;
pub mod pictures;
pub mod service;
pub mod shape;

pub use contents::Contents;
pub use pictures::Picture;
pub use service::{Inference, Models, Permits};
