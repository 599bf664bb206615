//! What Python makes of exported files: ONNX Runtime, pyarrow, NumPy and scikit-learn.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::services::root;

/// Run a script of this folder to its end. Gives the JSON that it printed.
pub fn python(script: &str, arguments: &[&str]) -> Result<Value> {
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "there is no {}; `make venv` makes it", python.display());
    let output = Command::new(python).arg(root().join("tests/src/exported").join(script)).args(arguments).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {}: {error}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{script} prints JSON: {error}"))
}
