//! `graft-fit`: fits in a process of their own, for the benchmarks: time and memory are then theirs alone.
//!
//! Prints one line of JSON.

use clap::Parser;
use graft_tests::bench::{
    few_shot::{self, FewShot},
    fit_process::{self, Task},
};

/// Fit heads, and say what came of it.
#[derive(Parser)]
enum Command {
    /// One fit on many rows.
    One(Task),
    /// Many fits on few rows each.
    FewShot(FewShot),
}

fn main() -> anyhow::Result<()> {
    let answer = match Command::parse() {
        Command::One(task) => fit_process::run(&task)?,
        Command::FewShot(task) => few_shot::run_here(&task)?,
    };
    println!("{answer}");
    Ok(())
}
