//! `graft-bench [NAME…]`: run all benchmarks, or those named; print a line for each figure; fail if one misses its target.

use std::process::ExitCode;

use clap::Parser;
use graft_tests::bench;

/// Measure what Graft promises.
#[derive(Parser)]
struct Flags {
    /// The benchmarks to run; all unless told.
    names: Vec<String>,
    /// The part by which a figure may miss its target before the command fails; what is printed stays as strict.
    #[arg(long, default_value_t = 0.0)]
    slack: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { names, slack } = Flags::parse();
    let known: Vec<&str> = bench::ALL.iter().map(|bench| bench.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("error: there is no benchmark `{name}`; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut all_met = true;
    for bench in bench::ALL.iter().filter(|bench| names.is_empty() || names.iter().any(|name| name == bench.name)) {
        match (bench.run)().await {
            Ok(figures) => {
                figures.iter().for_each(|figure| println!("{figure}"));
                all_met &= figures.iter().all(|figure| figure.met(slack));
            }
            Err(error) => {
                println!("{} FAIL: {error:#}", bench.name);
                all_met = false;
            }
        }
    }
    if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
