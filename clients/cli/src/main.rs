//! `graft`: the command of those who train and use classifiers.
//!
//! It knows files, terminals and processes; all else is asked of the services.
//!
//! # Layout
//! - `up`: both services on this machine. `backbone`: pre-trained networks, pulled and listed. `import`: labelled images from files. `train`, `classify`, `heads`, `dataset`:
//!   the calls of the same names. `correct`, `suggest`: feedback, and what to label next. `gc`: what nobody needs.
//! - `report`: the evidence of a head, as text, JSON or a page. `promote`: which version an alias is on; `aliases`: those there
//!   are, and their history. `diff`: two versions beside each other. `split`: canaries and shadows. `traffic`: what classifiers were
//!   asked.
//! - `export`: a head as a file, with its backbone or alone. `import_head`: one that was fitted elsewhere.
//! - `generated`: a command for each RPC of the contract, made from it.
//! - `connection`: which services a command speaks to. `config`: the file of contexts that says so.
//! - `output`: tables for people, JSON for programs. `progress`: bars on a terminal. `programs`: where the services are.
//!   `whole`: files that appear whole or not at all.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{FromArgMatches, Parser, Subcommand};
use connection::Connection;
use output::Output;

mod aliases;
mod backbone;
mod classify;
mod config;
mod connection;
mod correct;
mod dataset;
mod diff;
mod export;
mod gc;
mod generated;
mod heads;
mod import;
mod import_head;
mod output;
mod programs;
mod progress;
mod promote;
mod report;
mod split;
mod suggest;
mod traffic;
mod train;
mod up;
mod whole;

/// Train and serve many image classifiers on one frozen backbone.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage; 3 a service, or a place to pull from, cannot be
/// reached; 4 done, but some inputs were rejected.
#[derive(Parser)]
#[command(name = "graft", version)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    /// A table for people, or one JSON document for programs, on standard output.
    #[arg(long, global = true, value_enum, default_value = "table")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start both services on this machine, until Ctrl-C.
    Up(up::Up),
    /// Name services, how to connect to them, and which of them commands speak to.
    Config(config::Config),
    /// Pull, list, show or remove backbones: the networks that classifiers are fitted on.
    Backbone(backbone::Backbone),
    /// Add labelled images to a dataset: from folders, tables, arrays, Parquet, tar or zip.
    Import(import::Import),
    /// Fit a classifier on a dataset and show how good it is.
    Train(train::Train),
    /// Classify image files or rows of pixels.
    Classify(classify::Classify),
    /// Say what is right where a classifier was wrong, for its next training.
    Correct(correct::Correct),
    /// List the corrections of a classifier, or of all.
    Corrections(correct::Corrections),
    /// Tell which unlabelled images of a dataset to label first.
    Suggest(suggest::Suggest),
    /// Show how good a classifier is and what speaks against it; as a page with plots, if told.
    Report(report::Report),
    /// List, show or delete classifiers and their aliases.
    Heads(heads::Heads),
    /// Write a classifier to a file: with its backbone as ONNX, or alone as safetensors.
    Export(export::Export),
    /// Register a classifier that was fitted elsewhere: safetensors, or scikit-learn's arrays.
    ImportHead(import_head::ImportHead),
    /// Remove what nothing refers to any more.
    Gc(gc::Gc),
    /// List, show, change, export or delete datasets.
    #[command(visible_alias = "datasets")]
    Dataset(dataset::Dataset),
    /// Put an alias, such as `production`, on a version of a classifier, unless that is worse.
    Promote(promote::Promote),
    /// Put an alias back on the version that it was on before.
    #[command(name = "rollback")]
    RollBack(promote::RollBack),
    /// Compare two versions of classifiers on the same test split.
    Diff(diff::Diff),
    /// Let a version answer a part of the requests for an alias, such as `production`.
    Canary(split::Canary),
    /// Ask a version the same as an alias, and compare its answers with those that are given.
    Shadow(split::Shadow),
    /// Show what a classifier was asked of late, and whether that is what it was measured on.
    Traffic(traffic::Traffic),
}

/// How a command ended, if it did not fail.
enum Done {
    /// Everything was done.
    All,
    /// Some inputs were rejected, and said so.
    Some,
}

#[tokio::main]
async fn main() -> ExitCode {
    let matches = generated::command_line().get_matches();
    if let Some(code) = generated::run_generated(&matches).await {
        return code;
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli).await {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::Some) => ExitCode::from(4),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(failed(&error))
        }
    }
}

/// The exit code for an error, after a hint where there is one.
fn failed(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<graft_client::Error>().is_some_and(|cause| cause.is_unreachable()) {
        eprintln!(
            "hint: `graft up` starts both services on this machine; --trainer and --extractor, or a --context, name others"
        );
        return 3;
    }
    if error.downcast_ref::<graft_pull::PullError>().is_some_and(|cause| cause.is_unreachable()) { 3 } else { 1 }
}

async fn run(cli: Cli) -> Result<Done> {
    // These two speak to no service that a context names.
    match cli.command {
        Command::Up(up) => return up.run().await,
        Command::Config(config) => return config.run(&cli.connection, cli.output),
        _ => {}
    }
    let graft = cli.connection.graft()?;
    match cli.command {
        Command::Up(_) | Command::Config(_) => Ok(Done::All),
        Command::Backbone(backbone) => backbone.run(&graft, cli.output).await,
        Command::Import(import) => import.run(&graft, cli.output).await,
        Command::Train(train) => train.run(&graft, cli.output).await,
        Command::Classify(classify) => classify.run(&graft, cli.output).await,
        Command::Correct(correct) => correct.run(&graft, cli.output).await,
        Command::Corrections(corrections) => corrections.run(&graft, cli.output).await,
        Command::Suggest(suggest) => suggest.run(&graft, cli.output).await,
        Command::Report(report) => report.run(&graft, cli.output).await,
        Command::Heads(heads) => heads.run(&graft, cli.output).await,
        Command::Export(export) => export.run(&graft, cli.output).await,
        Command::ImportHead(import) => import.run(&graft, cli.output).await,
        Command::Gc(gc) => gc.run(&graft, cli.output).await,
        Command::Dataset(dataset) => dataset.run(&graft, cli.output).await,
        Command::Promote(promote) => promote.run(&graft, cli.output).await,
        Command::RollBack(roll_back) => roll_back.run(&graft, cli.output).await,
        Command::Diff(diff) => diff.run(&graft, cli.output).await,
        Command::Canary(canary) => canary.run(&graft, cli.output).await,
        Command::Shadow(shadow) => shadow.run(&graft, cli.output).await,
        Command::Traffic(traffic) => traffic.run(&graft, cli.output).await,
    }
}
