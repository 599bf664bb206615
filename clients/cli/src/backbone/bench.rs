//! `graft backbone bench`: which thread layout and batch run the most images a second on this machine.
//!
//! `graft-extractor bench-backbone` measures; what it chose is written into the manifest.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, value_parser};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
};

use super::{Directory, Name, run_table};
use crate::{
    Done,
    output::{Output, table},
    programs::beside_me,
    say,
};

/// Measure a backbone on this machine.
#[derive(Args)]
pub struct Bench {
    /// Its name.
    name: Name,
    /// Print what was measured, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Seconds that all measurements may take together, about.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u16).range(1..=3600), value_name = "SECONDS")]
    seconds: u16,
    #[command(flatten)]
    directory: Directory,
}

/// What the extractor measured.
struct Report {
    /// `lanes`, `threads`, `batch` and `images_per_second` of each layout.
    measured: Vec<Value>,
    space: String,
    provider: String,
    /// What the manifest's `[run]` should say.
    chosen: Map<String, Value>,
}

impl Bench {
    pub async fn run(self, output: Output) -> Result<Done> {
        let Name(name) = &self.name;
        let directory = &self.directory.backbones;
        if !self.dry_run && directory.to_string_lossy().contains("://") {
            bail!(
                "--backbones: {}: a directory of this machine is expected, since manifests of a store are not written; --dry-run prints what its manifest should say",
                directory.display()
            );
        }
        say::note(format_args!("measuring for about {} s; nothing else should run on this machine", self.seconds));
        let report = self.measure().await?;
        // Built-in backbones have no manifest in the directory.
        let manifest = if self.dry_run { None } else { run_table::find(directory, name)? };
        if let Some(path) = &manifest {
            run_table::write(path, &report.chosen)?;
        }
        output.show(|| report.text(manifest.as_deref(), self.dry_run), || report.json(manifest.as_deref()))?;
        Ok(Done::All)
    }

    async fn measure(&self) -> Result<Report> {
        let (Name(name), program) = (&self.name, beside_me("graft-extractor"));
        let directory = &self.directory.backbones;
        let mut command = Command::new(&program);
        // Without a directory there are built-in backbones still.
        if directory.to_string_lossy().contains("://") || directory.is_dir() {
            command.arg("--backbones").arg(directory);
        }
        command.args(["--log-level", "warn", "bench-backbone", name, "--seconds", &self.seconds.to_string()]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let lines = child.stdout.take().context("the standard output of graft-extractor")?;
        let report = Report::read(BufReader::new(lines).lines()).await;
        let status = child.wait().await?;
        if !status.success() {
            bail!("graft-extractor could not measure `{name}` ({status}); its message is above");
        }
        report
    }
}

impl Report {
    /// Read a line for each layout, and the last one.
    async fn read(mut lines: Lines<BufReader<ChildStdout>>) -> Result<Report> {
        let mut measured = Vec::new();
        while let Some(line) = lines.next_line().await? {
            let mut line: Value =
                serde_json::from_str(&line).with_context(|| format!("graft-extractor said: {line}"))?;
            if let Value::Object(chosen) = line["chosen"].take() {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                return Ok(Report { measured, space: text("space"), provider: text("provider"), chosen });
            }
            measured.push(line["measured"].take());
        }
        bail!("graft-extractor ended without a result")
    }

    fn text(&self, manifest: Option<&Path>, dry_run: bool) -> String {
        let row = |measured: &Value| {
            let counts = ["lanes", "threads", "batch"].map(|key| measured[key].to_string());
            let rate = format!("{:.1}", measured["images_per_second"].as_f64().unwrap_or(f64::NAN));
            let best = self.chosen.iter().all(|(key, value)| measured[key] == *value);
            [&counts[..], &[rate, if best { "<" } else { "" }.to_owned()]].concat()
        };
        let rows: Vec<_> = self.measured.iter().map(row).collect();
        let mut text = table(&["lanes", "threads", "batch", "images/s", ""], &rows);
        let told: Vec<String> = self.chosen.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        text += &format!("{} on {}: {}\n", self.space, self.provider, told.join(", "));
        text += &match manifest {
            Some(path) => format!("written into {}\n", path.display()),
            None if dry_run => "nothing was written\n".to_owned(),
            None => "built in, without a manifest to write: --max-batch and --threads of graft-extractor set the batch and the cores of all backbones\n".to_owned(),
        };
        text
    }

    fn json(&self, manifest: Option<&Path>) -> Value {
        json!({
            "space": self.space,
            "provider": self.provider,
            "measured": self.measured,
            "chosen": self.chosen,
            "manifest": manifest.map(|path| path.to_string_lossy()),
        })
    }
}
