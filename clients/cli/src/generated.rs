//! The commands that nobody wrote: a group for each service of the contract, a command for each RPC, and `call` for any by
//! name. They stand beside those that were written by hand, which win where both have a name.
//!
//! `graft --help` needs the groups' names and first lines alone; a group's commands are made when it is asked for.

use std::{process::ExitCode, sync::OnceLock};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, error::ErrorKind};
use graft_commands::{Connection, Contract, Failure, Program, by_name, command, run, summary};
use graft_proto::FILE_DESCRIPTOR_SET;

use crate::Cli;

/// The contract, decoded when it is first needed.
static CONTRACT: OnceLock<Option<Contract>> = OnceLock::new();
/// The names of the flags that all commands have.
static FLAGS: OnceLock<Vec<String>> = OnceLock::new();

/// The service that the extractor serves; all others are the trainer's.
const OF_EXTRACTOR: &str = "graft.v1.ExtractorService";

/// The whole command line.
pub fn command_line() -> Command {
    let mut whole = Cli::command();
    let global = whole.get_arguments().filter(|argument| argument.is_global_set());
    FLAGS.get_or_init(|| global.filter_map(|argument| argument.get_long()).map(str::to_owned).collect());
    for summary in summary::of(FILE_DESCRIPTOR_SET).unwrap_or_default() {
        whole = if whole.find_subcommand(&summary.group).is_some() {
            whole.mut_subcommand(&summary.group, |written| written.defer(fill))
        } else {
            let service = summary.service.rsplit('.').next().unwrap_or_default();
            let about = format!("The calls of {service}: {}", summary.about);
            let group = Command::new(summary.group).about(about).subcommand_required(true).arg_required_else_help(true);
            whole.subcommand(group.defer(fill))
        };
    }
    whole.arg(by_name::reflect_flag()).subcommand(by_name::command())
}

/// A connection to the service of this name.
fn connect(name: &'static str, told: &crate::connection::Connection) -> Result<Connection, graft_client::Error> {
    let graft = told.graft()?;
    let service = if name == "extractor" { &graft.extractor } else { &graft.trainer };
    Ok(Connection { channel: service.channel(), metadata: service.metadata(), url: service.url().to_owned() })
}

fn fill(group: Command) -> Command {
    match contract() {
        Some(contract) => command::fill(contract, group, flags()),
        None => group,
    }
}

fn contract() -> Option<&'static Contract> {
    CONTRACT.get_or_init(|| Contract::decode(FILE_DESCRIPTOR_SET).ok()).as_ref()
}

fn flags() -> &'static [String] {
    FLAGS.get().map(Vec::as_slice).unwrap_or_default()
}

/// Run the command, if it is none that was written by hand.
pub async fn run_generated(matches: &ArgMatches) -> Option<ExitCode> {
    let (name, inner) = matches.subcommand()?;
    let reflect = matches.get_flag("reflect");
    let contract = contract()?;
    let told = crate::connection::Connection::from_arg_matches(matches).ok()?;
    let dial = |service: &str, endpoint: Option<&str>| -> Result<Connection, Failure> {
        let name = if service == OF_EXTRACTOR { "extractor" } else { "trainer" };
        let told = endpoint.map_or_else(|| told.clone(), |url| told.clone().with(name, url));
        connect(name, &told).map_err(|error| Failure::Input(error.to_string()))
    };
    let program = Program { name: "graft", flags: flags(), dial: &dial, out: &mut std::io::stdout() };
    let done = match contract.service_of(name) {
        _ if name == by_name::NAME => by_name::run(contract, inner, reflect, program).await,
        _ if reflect => {
            let message = format!("--reflect goes with `{}` alone", by_name::NAME);
            Err(Failure::usage(&mut command_line(), ErrorKind::ArgumentConflict, message))
        }
        Some(service) if is_generated(contract, &service, inner) => run(contract, &service, inner, program).await,
        _ => return None,
    };
    Some(done.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS))
}

/// A group that was written by hand has commands of both kinds.
fn is_generated(contract: &Contract, service: &graft_commands::ServiceDescriptor, group: &ArgMatches) -> bool {
    let written = Cli::command();
    let written = written.find_subcommand(graft_commands::names::group(service.name()));
    let Some((name, _)) = group.subcommand() else { return false };
    contract.method_of(service, name).is_some() && written.is_none_or(|group| group.find_subcommand(name).is_none())
}
