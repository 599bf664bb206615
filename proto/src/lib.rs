//! The contract between Graft's services and their callers.
//!
//! Everything here is generated from `proto/graft/v1/*.proto` and `proto/inference/*.proto`, where each service,
//! message and field is documented for its user. Nothing else is shared between the extractor and the trainer.
//!
//! # Layout
//! - [`v1`]: the messages and the client and server stubs of package `graft.v1`.
//! - [`inference`]: those of the Open Inference Protocol, whose names and numbers are not ours.
//! - [`FILE_DESCRIPTOR_SET`]: the same contract as data, comments included, for reflection and for the CLI.

#![forbid(unsafe_code)]

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
