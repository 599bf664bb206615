//! `graft man`: manual pages, one for each command.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::{Done, output::Output};

/// Write the manual pages, one for each command, into a directory.
#[derive(Args)]
pub struct Man {
    /// The directory, such as ~/.local/share/man/man1; made if it is not there.
    directory: PathBuf,
}

impl Man {
    pub fn run(self, command: clap::Command, output: Output) -> Result<Done> {
        let cannot = || format!("cannot write into {}", self.directory.display());
        fs::create_dir_all(&self.directory).with_context(cannot)?;
        clap_mangen::generate_to(command.disable_help_subcommand(true), &self.directory).with_context(cannot)?;
        let shown = self.directory.display().to_string();
        output.show(|| format!("wrote manual pages into {shown}"), || json!({ "written": shown }))?;
        Ok(Done::All)
    }
}
