//! `graft-fit`: one fit in a process of its own, for the benchmarks: its time and memory are then its alone.
//!
//! Prints one line of JSON; see [`Outcome`](graft_tests::bench::fit_process::Outcome).

use clap::Parser;
use graft_tests::bench::fit_process::{Task, run};

fn main() -> anyhow::Result<()> {
    println!("{}", run(&Task::parse())?);
    Ok(())
}
