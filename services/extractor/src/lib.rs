//! The extractor: frozen ImageNet backbones, run by ONNX Runtime, stream the embeddings of images over gRPC.
//!
//! It has never heard of a label, a dataset or a head, and it trains nothing.
//!
//! # Layout
//! The straight line, left to right:
//! - [`service`]: gRPC. [`reader`]: reads a stream's images into a queue. [`inference`]: the same for clients of the Open
//!   Inference Protocol, a call at a time.
//! - [`fetch`]: images that are named by a URI, from allowed places.
//! - [`queue`]: what waits, in two classes of work, within bounds.
//! - [`input`]: an image that is to be decoded, or a tensor that is ready.
//! - [`decode`]: encoded or raw bytes become pixels, within limits that are checked first.
//! - [`preprocessing`]: what is done to an image before the network sees it.
//! - [`preprocess`]: pixels become the network's input, as Pillow and torchvision make it.
//! - [`augment`]: what is done to an image for further views of it.
//! - [`resize`]: Pillow's resize, bit for bit.
//! - [`batch`]: the tensor that a lane fills in place.
//! - [`cache`]: embeddings that were made before, by content. [`admission`]: an image is answered from it, or queued.
//! - [`engine`]: the lanes of one backbone, laid out as [`layout`] says; [`engines`]: those of all of them.
//! - [`backbone`]: manifest, detaching the classifier, embedding space, session, catalogue, repository.
//! - [`export`]: the network of a backbone as a file, for who grafts onto it.
//! - [`answers`]: the way back to the stream that asked. [`rows`]: embeddings as the wire has them.
//!
//! Around it: [`config`], [`error`], [`onnxruntime`] (where the library is), [`bench`] (which layout is the fastest), [`doctor`]
//! (what ONNX Runtime can do here).

pub mod admission;
pub mod answers;
pub mod augment;
pub mod backbone;
pub mod batch;
pub mod bench;
pub mod cache;
pub mod config;
pub mod decode;
pub mod doctor;
pub mod engine;
pub mod engines;
pub mod error;
pub mod export;
pub mod fetch;
pub mod inference;
pub mod input;
pub mod layout;
pub mod onnxruntime;
pub mod preprocess;
pub mod preprocessing;
pub mod queue;
pub mod reader;
pub mod resize;
pub mod rows;
pub mod service;
