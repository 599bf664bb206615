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
//! - `doctor`: what is wrong with the installation. `completions`, `man`: for shells, and for `man`; `examples`: those of the help.
//! - `output`: tables for people, JSON for programs. `progress`: bars on a terminal. `say`: messages. `programs`: where the services are.
//!   `whole`: files that appear whole or not at all. `interrupt`: Ctrl-C. `ended`: exit codes.
//! - `pages`: lists of the services. `names`: what is there; `nearest`: did you mean.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, FromArgMatches, Parser, Subcommand};
use connection::Connection;
use graft_client::{Graft, Settings};
use interrupt::unless_interrupted;
use output::Output;

mod aliases;
mod backbone;
mod classify;
mod completions;
mod config;
mod connection;
mod correct;
mod dataset;
mod diff;
mod doctor;
mod ended;
mod examples;
mod export;
mod gc;
mod generated;
mod heads;
mod import;
mod import_head;
mod interrupt;
mod man;
mod names;
mod nearest;
mod output;
mod pages;
mod programs;
mod progress;
mod promote;
mod report;
mod say;
mod split;
mod suggest;
mod traffic;
mod train;
mod up;
mod whole;

/// Train and serve many image classifiers on one frozen backbone.
#[derive(Parser)]
#[command(name = "graft", version, after_help = ended::EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    /// What is written to standard output: a table for people, or JSON or CSV for programs.
    #[arg(long, global = true, value_enum, default_value = "table")]
    output: Output,
    /// Say nothing but results and errors: no bars, notes and hints.
    #[arg(long, short, global = true)]
    quiet: bool,
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
    /// Look for what is wrong with the services, this machine and the connection, and say what to do about it.
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete command lines.
    Completions(completions::Completions),
    /// Write manual pages.
    Man(man::Man),
}

/// How a command ended, if it did not fail.
enum Done {
    /// Everything was done.
    All,
    /// Some inputs were rejected, and said so.
    Some,
    /// It was looked for what is wrong, and something is.
    Unwell,
}

fn main() -> ExitCode {
    completions::answer(command);
    let matches = command().get_matches();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::error(format_args!("no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(&matches));
    // What was broken off may still read a file, or wait for one: it is not waited for.
    runtime.shutdown_background();
    code
}

/// The whole command line, with its help.
fn command() -> clap::Command {
    examples::put_into(generated::command_line())
}

async fn run(matches: &ArgMatches) -> ExitCode {
    let generated = async { Ok(generated::run_generated(matches).await) };
    match unless_interrupted("", generated).await {
        Ok(Some(code)) => return code,
        Ok(None) => {}
        Err(error) => return ended::code(Err(error), None).await,
    }
    let Cli { connection, output, quiet, command } =
        Cli::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
    say::be_quiet(quiet);
    if output == Output::Csv && !matches!(command, Command::Classify(_)) {
        let message = "--output csv: `graft classify` alone writes it; table, json and jsonl are accepted";
        return ended::code(Err(ended::usage(message)), None).await;
    }
    // These speak to no service that a context names, or look at it themselves: one that is wrong must not keep them from that.
    let connected = match command {
        Command::Up(_) | Command::Config(_) | Command::Doctor(_) | Command::Completions(_) | Command::Man(_) => {
            Graft::with(&Settings::default())
        }
        _ => connection.graft(),
    };
    let graft = match connected {
        Ok(graft) => graft,
        Err(error) => return ended::code(Err(error.into()), None).await,
    };
    // These have something to end first, and do.
    let ends_by_itself = matches!(command, Command::Up(_) | Command::Train(_));
    let work = work(command, &connection, &graft, output);
    let outcome = if ends_by_itself { work.await } else { unless_interrupted("", work).await };
    ended::code(outcome, Some(&graft)).await
}

async fn work(command: Command, connection: &Connection, graft: &Graft, output: Output) -> Result<Done> {
    match command {
        Command::Up(up) => up.run().await,
        Command::Config(config) => config.run(connection, output),
        Command::Backbone(backbone) => backbone.run(graft, output).await,
        Command::Import(import) => import.run(graft, output).await,
        Command::Train(train) => train.run(graft, output).await,
        Command::Classify(classify) => classify.run(graft, output).await,
        Command::Correct(correct) => correct.run(graft, output).await,
        Command::Corrections(corrections) => corrections.run(graft, output).await,
        Command::Suggest(suggest) => suggest.run(graft, output).await,
        Command::Report(report) => report.run(graft, output).await,
        Command::Heads(heads) => heads.run(graft, output).await,
        Command::Export(export) => export.run(graft, output).await,
        Command::ImportHead(import) => import.run(graft, output).await,
        Command::Gc(gc) => gc.run(graft, output).await,
        Command::Dataset(dataset) => dataset.run(graft, output).await,
        Command::Promote(promote) => promote.run(graft, output).await,
        Command::RollBack(roll_back) => roll_back.run(graft, output).await,
        Command::Diff(diff) => diff.run(graft, output).await,
        Command::Canary(canary) => canary.run(graft, output).await,
        Command::Shadow(shadow) => shadow.run(graft, output).await,
        Command::Traffic(traffic) => traffic.run(graft, output).await,
        Command::Doctor(doctor) => doctor.run(connection, output).await,
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(self::command(), output),
    }
}
