//! Heads that come from elsewhere, and go elsewhere: safetensors files.
//!
//! # Layout
//! - [`said`]: what the importer says of a head.
//! - [`file`](mod@file): the file that is imported; [`plain`]: one that no Graft wrote.
//! - [`incoming`]: both together become a head that can be registered.
//! - [`outgoing`]: a head as a file that says all of itself.

pub mod file;
pub mod incoming;
pub mod outgoing;
pub mod plain;
pub mod said;

/// What a file says of its head beside the tensors.
mod note {
    /// The version of Graft that wrote it: whoever has this is one of ours.
    pub const GRAFT_VERSION: &str = "graft_version";
    /// The head's name.
    pub const NAME: &str = "name";
    /// The head's version.
    pub const VERSION: &str = "version";
    /// NAME@HASH.
    pub const SPACE: &str = "space";
    /// The backbone's name.
    pub const BACKBONE: &str = "backbone";
    /// A JSON list of text.
    pub const LABELS: &str = "labels";
}
