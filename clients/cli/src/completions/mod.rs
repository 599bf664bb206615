//! `graft completions`: what a shell runs to complete command lines, and what it then asks.
//!
//! The shell calls this program with COMPLETE set; names of heads, datasets and backbones come from the services, if they answer soon.
//!
//! # Layout
//! - Here: the script for a shell, and the answer to its questions. [`ask`]: the names. [`places`]: which arguments are names.

use std::{
    env,
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use clap_complete::env::{CompleteEnv, Shells};

use crate::Done;

mod ask;
mod places;

pub use places::at;

/// The variable that tells this program to complete.
const VARIABLE: &str = "COMPLETE";
/// What is completed.
const PROGRAM: &str = "graft";

/// Print what a shell needs to complete command lines, the names of heads, datasets and backbones included.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    /// source <(graft completions bash), in ~/.bashrc.
    Bash,
    /// source <(graft completions zsh), in ~/.zshrc.
    Zsh,
    /// graft completions fish > ~/.config/fish/completions/graft.fish.
    Fish,
}

impl Completions {
    pub fn run(self) -> Result<Done> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        };
        let shells = Shells::builtins();
        let shell = shells.completer(name).context("a shell")?;
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, PROGRAM, PROGRAM, &me(), &mut script)?;
        stdout().write_all(&script)?;
        Ok(Done::All)
    }
}

/// What the shell is to call: by its name if it was called so, for the PATH may change.
fn me() -> String {
    let called = env::args().next().unwrap_or_default();
    match Path::new(&called).components().count() {
        0 | 1 => PROGRAM.to_owned(),
        _ => env::current_exe().map_or(called, |path| path.to_string_lossy().into_owned()),
    }
}

/// Answer the shell, and end, if it is a shell that asks.
pub fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(|| places::put_into(command())).complete();
}
