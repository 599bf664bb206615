//! Gets files from where they are published: models from this machine, HTTP, object stores and the Hugging Face hub, and
//! small files, such as images, from places that were allowed.
//!
//! It knows files, checksums and whether a file is a whole ONNX file. What the network in it is good for, it never asks.
//!
//! # Layout
//! - [`source`]: what may be pulled: a path or a URI.
//! - [`pull`]: from a source to files on this machine, and to their place. `fetched`: one of them.
//! - [`download`]: from an object store, going on where the last try ended. [`hub`]: from the Hugging Face hub.
//! - [`fetch`](mod@fetch): small objects into memory.
//! - [`place`]: an object store, opened by its URL; a repository of backbones is one too.
//! - [`allowed`]: small files from allowed places alone. [`direct`]: a client that follows no redirect and asks no proxy.
//! - [`onnx`]: whether a file is an ONNX file, and whole. [`external`]: the files that it keeps weights in. `fields`: steps
//!   through it for both. [`checksum`]: copies and hashes in one pass.
//! - [`error`]: what can go wrong.

#![forbid(unsafe_code)]

pub mod allowed;
pub mod checksum;
pub mod direct;
pub mod download;
pub mod error;
pub mod external;
pub mod fetch;
mod fetched;
mod fields;
pub mod hub;
pub mod onnx;
pub mod place;
pub mod pull;
pub mod source;

pub use allowed::Allowed;
pub use error::PullError;
pub use pull::{Pulled, Puller};
pub use source::Source;

/// The largest model file, in bytes: protobuf's own limit.
pub const MAX_MODEL_BYTES: u64 = i32::MAX as u64;

/// How far a download is: bytes that are there, and bytes in all.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);
