//! A command, from its flags to its answers.

use std::io::Write;

use clap::{ArgMatches, Command, error::ErrorKind};
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::{
    Contract, Dial, Failure, call, command, flags, names,
    options::{self, Options},
    request, send,
    show::Show,
};

/// What the program around a command gives it.
pub struct Program<'a> {
    /// Its name.
    pub name: &'a str,
    /// The names of the flags that the program has for all its commands.
    pub flags: &'a [String],
    /// How services are reached.
    pub dial: &'a dyn Dial,
    /// Where answers are written.
    pub out: &'a mut (dyn Write + Send),
}

/// Run the command that `matches`, those of a service's group, name.
///
/// # Errors
/// Whatever keeps it from being done.
pub async fn run(
    contract: &Contract,
    service: &ServiceDescriptor,
    matches: &ArgMatches,
    program: Program<'_>,
) -> Result<(), Failure> {
    let named = matches.subcommand().and_then(|(name, inner)| Some((contract.method_of(service, name)?, inner)));
    let (method, inner) = named.ok_or_else(|| Failure::Input(format!("no command of {}", service.full_name())))?;
    run_method(contract, &method, inner, program).await
}

/// Run the command of an RPC.
///
/// # Errors
/// Whatever keeps it from being done.
pub async fn run_method(
    contract: &Contract,
    method: &MethodDescriptor,
    matches: &ArgMatches,
    program: Program<'_>,
) -> Result<(), Failure> {
    let group = names::group(method.parent_service().name());
    let name = format!("{} {group} {}", program.name, names::kebab(method.name()));
    let mut command = command::of_method(contract, method, program.flags).bin_name(name);
    let options = Options::of(matches).map_err(|error| wrong(&mut command, ErrorKind::InvalidValue, error))?;
    let flags = flags::flags(&method.input(), &options::taken(program.flags));
    let given = request::given(&flags, matches);
    request::check_oneofs(&given, method.is_client_streaming())
        .map_err(|error| wrong(&mut command, ErrorKind::ArgumentConflict, error))?;
    let show = Show::new(method, &options, program.out);
    let mut show = show.map_err(|error| wrong(&mut command, ErrorKind::InvalidValue, error))?;
    let plan = send::plan(method, given, &options);
    let plan = plan.map_err(|error| wrong(&mut command, ErrorKind::InvalidValue, error))?;
    let connection = program.dial.dial(method.parent_service().full_name(), options.endpoint.as_deref())?;
    let outbound = send::start(plan)?;
    call::call(method, connection, &options, outbound, |answer| show.answer(answer)).await?;
    show.finish()
}

fn wrong(command: &mut Command, kind: ErrorKind, message: String) -> Failure {
    Failure::usage(command, kind, message)
}
