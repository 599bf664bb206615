//! What ONNX Runtime this extractor would load, and what can run networks in it: `graft-extractor check-runtime`, which
//! `graft doctor` asks.

use std::path::Path;

use serde::Serialize;

use crate::{
    backbone::session::{Provider, Runtime},
    onnxruntime,
};

/// The library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Its file.
    pub library: String,
    /// Its build.
    pub version: String,
    /// What it could run networks on.
    pub providers: Vec<Tried>,
}

/// An execution provider.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Its name, as `--provider` has it.
    pub name: &'static str,
    /// Why it cannot be used; none if it can.
    pub error: Option<String>,
}

/// Load the library that the flag or the environment names, and try its providers.
pub fn check(flag: Option<&Path>) -> anyhow::Result<Found> {
    let library = onnxruntime::locate(flag)?;
    let runtime = Runtime::load(&library)?;
    let tried = [Provider::Cpu, Provider::Cuda, Provider::TensorRt].map(|provider| Tried {
        name: provider.name(),
        error: runtime.try_out(provider).err().map(|error| error.to_string()),
    });
    Ok(Found { library: library.display().to_string(), version: runtime.version().to_owned(), providers: tried.into() })
}
