//! Backbones: pre-trained classification networks without their classifiers.
//!
//! # Layout
//! - [`onnx`]: the schema of ONNX files.
//! - [`detach`]: finds the classifier in a graph and takes it off.
//! - [`manifest`]: the small file beside a model that says how to use it.
//! - [`options`]: its `[preprocessing]` table; [`configs`]: the files of other projects that say the same.
//! - [`space`]: the id of an embedding space.
//! - [`catalogue`]: the backbones that there are at one moment; [`listed`]: one of them, read again when it is needed.
//! - [`built_in`]: the one that is compiled in. [`repository`]: those of a directory or an object store.
//! - [`run`]: the manifest's `[run]` table. [`provider`]: what runs a network, and how ONNX Runtime is told.
//! - [`session`]: ONNX Runtime, and a network loaded into it; [`apart`]: whether it keeps the images of a batch apart.
//!   [`buffer`]: the memory that a session's images are written to; [`bound`]: that of a GPU.

pub(crate) mod apart;
mod bound;
pub mod buffer;
pub mod built_in;
pub mod catalogue;
pub mod configs;
pub mod detach;
pub mod listed;
pub mod manifest;
pub mod options;
pub mod provider;
pub mod repository;
pub mod run;
pub mod session;
pub mod space;

pub use graft_onnx as onnx;
