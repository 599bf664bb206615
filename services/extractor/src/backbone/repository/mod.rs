//! A repository of backbones: a directory or an object-store prefix, one folder a backbone, re-read on change.
//!
//! A folder holds a model file and one or more manifests that use it. Folders and files whose names begin with a dot are
//! not looked at, so that others may prepare a folder there and rename it.
//!
//! # Layout
//! - [`listing`]: what files there are, and which version of each; cheap, and repeated every few seconds.
//! - [`folder`]: one folder's files become backbones.
//! - [`scan`]: what changed since the last time is read again, the rest is not.
//! - [`watch`]: scans as long as the extractor runs, and hands over the new catalogue.

pub mod folder;
pub mod listing;
pub mod scan;
pub mod watch;
