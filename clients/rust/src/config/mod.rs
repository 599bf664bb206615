//! Where to connect, and how: arguments win over the environment, and that over the file of contexts.
//!
//! The file is `$GRAFT_CONFIG`, or `graft/config.toml` in `$XDG_CONFIG_HOME`, which is `~/.config` unless told. The `graft`
//! command and the Python client read the same:
//!
//! ```toml
//! current-context = "production"
//!
//! [contexts.production]
//! trainer = "https://graft.example.org:7400"
//! extractor = "https://graft.example.org:7401"
//! token-file = "token"          # or `token`; a path is from the folder of this file
//! ca-file = "ca.pem"            # trusted instead of the system's authorities
//! cert-file = "client.pem"      # for mutual TLS, with `key-file`
//! key-file = "client-key.pem"
//! server-name = "graft"         # expected in certificates instead of the host
//! ```
//!
//! # Layout
//! - [`file`](mod@file): what the file may say. [`place`]: where it is. [`settings`]: all put together.

pub mod file;
pub mod place;
pub mod settings;

pub use file::{ConfigFile, Context};
pub use place::Place;
pub use settings::{Settings, Told};
