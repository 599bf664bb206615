//! Runs Pillow, which says what is right.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tempfile::TempDir;

/// What a script of this folder left behind: `cases.json`, and the files that it names.
pub struct Cases {
    folder: TempDir,
    /// A JSON object for each case.
    pub cases: Vec<Value>,
}

impl Cases {
    /// Run `script` with the Python of the repository's `.venv`, which `make venv` makes.
    pub fn of(script: &str) -> Cases {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let python = root.join(".venv/bin/python");
        assert!(python.exists(), "there is no {}; `make venv` makes it", python.display());
        let folder = TempDir::new().expect("a folder");
        let script = root.join("services/extractor/tests/pillow").join(script);
        let status = Command::new(python).arg(&script).arg(folder.path()).status().expect("Python runs");
        assert!(status.success(), "{} failed", script.display());
        let text = fs::read_to_string(folder.path().join("cases.json")).expect("cases");
        let cases = serde_json::from_str(&text).expect("JSON");
        Cases { folder, cases }
    }

    /// The bytes of a file that a case names by `key`.
    pub fn bytes(&self, case: &Value, key: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(text(case, key))).expect("a file of the case")
    }
}

/// The text under `key`.
pub fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("a text")
}

/// The number under `key`.
pub fn number(case: &Value, key: &str) -> u32 {
    case[key].as_u64().and_then(|number| u32::try_from(number).ok()).expect("a number")
}
