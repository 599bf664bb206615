//! Pages in a real browser.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::services::root;

/// What headless Chromium says of a report page; the screenshots are left beside it where `REPORT_SCREENSHOTS` names a folder.
pub fn open_page(page: &Path) -> Result<Value> {
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "there is no {}; `make venv` makes it", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/src/browser/check_page.py")).arg(page);
    if let Ok(folder) = std::env::var("REPORT_SCREENSHOTS") {
        let name = page.file_stem().unwrap_or_default();
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder)?;
        fs::copy(page, folder.join("report.html"))?;
        command.arg(folder);
    }
    let Output { status, stdout, stderr } = command.output()?;
    ensure!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    let seen: Value = serde_json::from_slice(&stdout)?;
    ensure!(seen["problems"].as_array().is_some_and(Vec::is_empty), "{:#}", seen["problems"]);
    Ok(seen)
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
