//! Commands made out of a descriptor set: a group for each service, a command for each RPC, a flag for each field, and help
//! from the comments.
//!
//! What a service learns, the command line can do: there is no code for any one RPC. All that it knows is in a
//! [`Contract`], which comes from a descriptor set that was compiled in, or from a server's reflection.
//!
//! # Layout
//! - [`contract`]: [`Contract`], the descriptors with their comments. [`summary`]: the groups' names and first lines, without
//!   decoding the rest. [`names`]: what commands, flags and enum values are called. [`comments`]: what help says.
//! - [`flags`]: the flags of a message. [`arguments`]: a flag as clap has it. [`command`]: commands and groups. [`options`]:
//!   the flags that every command has.
//! - [`value`]: from text to values. [`json`]: from JSON to messages. [`request`]: from flags to messages.
//! - [`send`]: streams of messages from JSON lines, files and folders.
//! - [`codec`], [`call`]: calls of any kind. [`dial`]: where they go.
//! - [`show`]: answers as tables, JSON, YAML and files. [`failure`]: what went wrong, and the exit code.
//! - [`reflect`]: the contract of a running server. [`describe`]: a contract as text. [`reference`]: as pages of Markdown. [`by_name`]: `call SERVICE/METHOD`. [`run`]: a command from its flags
//!   to its answers.
//!
//! It does not know what a label or a backbone is.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod by_name;
pub mod call;
pub mod codec;
pub mod command;
pub mod comments;
pub mod contract;
pub mod describe;
pub mod dial;
pub mod failure;
pub mod flags;
pub mod json;
pub mod names;
pub mod options;
pub mod reference;
pub mod reflect;
pub mod request;
pub mod run;
pub mod send;
pub mod show;
pub mod summary;
pub mod value;

pub use contract::Contract;
pub use dial::{Connection, Dial};
pub use failure::Failure;
pub use prost_reflect::ServiceDescriptor;
pub use run::{Program, run};
