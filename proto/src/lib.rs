//! The contract between Graft's services and their callers.
//!
//! What is here is generated from `proto/graft/v1/*.proto` and `proto/inference/*.proto`, where each service,
//! message and field is documented for its user, but for the limits and defaults of one message that both services
//! take. Nothing else is shared between the extractor and the trainer.
//!
//! # Layout
//! - [`v1`]: the messages and the client and server stubs of package `graft.v1`.
//! - [`inference`]: those of the Open Inference Protocol, whose names and numbers are not ours.
//! - [`augmentation`]: what an `Augmentation` may say, and what it means where it says nothing.
//! - [`FILE_DESCRIPTOR_SET`]: the same contract as data, comments included, for reflection and for the CLI.

#![forbid(unsafe_code)]

pub mod augmentation;

/// Package `graft.v1`.
pub mod v1 {
    tonic::include_proto!("graft.v1");
}

/// Package `inference`: the Open Inference Protocol, version 2.
pub mod inference {
    tonic::include_proto!("inference");
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract, its imports and its comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/graft_descriptor.bin"));
