//! Pages in a real browser.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::services::root;

/// What headless Chromium says of a report page; the screenshots are left beside it where `REPORT_SCREENSHOTS` names a folder.
pub fn open_page(page: &Path) -> Result<Value> {
    let mut command = python("check_page.py")?;
    command.arg(page);
    if let Ok(folder) = std::env::var("REPORT_SCREENSHOTS") {
        let name = page.file_stem().unwrap_or_default();
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder)?;
        fs::copy(page, folder.join("report.html"))?;
        command.arg(folder);
    }
    let seen = told(command)?;
    ensure!(seen["problems"].as_array().is_some_and(Vec::is_empty), "{:#}", seen["problems"]);
    Ok(seen)
}

/// What the JavaScript function in the file `script` gives on the page at `url`.
pub fn run_script(url: &str, script: &str, arguments: &Value) -> Result<Value> {
    let mut command = python("run_script.py")?;
    command.arg(url).arg(folder().join(script)).arg(arguments.to_string());
    told(command)
}

fn folder() -> PathBuf {
    root().join("tests/src/browser")
}

fn python(script: &str) -> Result<Command> {
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "there is no {}; `make venv` makes it", python.display());
    let mut command = Command::new(python);
    command.arg(folder().join(script));
    Ok(command)
}

/// What the script printed, in JSON.
fn told(mut command: Command) -> Result<Value> {
    let Output { status, stdout, stderr } = command.output()?;
    ensure!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    Ok(serde_json::from_slice(&stdout)?)
}

/// Check that the page has each of these plots and sections.
pub fn shows(seen: &Value, plots: &[&str], sections: &[&str]) -> Result<()> {
    for (kind, names) in [("plots", plots), ("sections", sections)] {
        for name in names {
            let there = seen[kind].as_array().is_some_and(|all| all.contains(&(*name).into()));
            ensure!(there, "{name} is missing in {}", seen[kind]);
        }
    }
    Ok(())
}
