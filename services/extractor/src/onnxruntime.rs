//! Where the ONNX Runtime library is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The library's file name.
const LIBRARY: &str = "libonnxruntime.so";

/// The library is nowhere.
#[derive(Debug, thiserror::Error)]
#[error(
    "onnxruntime: no {LIBRARY} found; looked at {}. Run scripts/setup.sh, or name one by --onnxruntime or ORT_DYLIB_PATH",
    looked_at.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
)]
pub struct NotFound {
    looked_at: Vec<PathBuf>,
}

/// Find the library: the flag or `ORT_DYLIB_PATH` as given, else beside this program, in `../lib`, in `../onnxruntime`.
pub fn locate(flag: Option<&Path>) -> Result<PathBuf, NotFound> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let program = env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    let looked_at: Vec<PathBuf> =
        ["", "../lib", "../onnxruntime"].iter().map(|place| folder.join(place).join(LIBRARY)).collect();
    looked_at.iter().find(|path| path.is_file()).cloned().ok_or(NotFound { looked_at })
}
