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
//! - [`session`]: ONNX Runtime, and a network loaded into it; [`apart`]: whether it keeps the images of a batch apart.

mod apart;
pub mod built_in;
pub mod catalogue;
pub mod configs;
pub mod detach;
pub mod listed;
pub mod manifest;
pub mod options;
pub mod repository;
pub mod session;
pub mod space;

/// The messages of `onnx/onnx.proto`.
#[allow(missing_docs, clippy::all)]
pub mod onnx {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
