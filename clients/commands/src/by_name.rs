//! `call SERVICE/METHOD`: any call by its name, of the contract that was compiled in or of the one that a server reflects.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, error::ErrorKind};
use prost_reflect::MethodDescriptor;
use tonic::metadata::MetadataMap;

use crate::{
    Connection, Contract, Dial, Failure, command, describe, names,
    options::{self, Options},
    reflect,
    run::{self, Program},
    show,
};

/// Its name.
pub const NAME: &str = "call";

/// The command.
pub fn command() -> Command {
    Command::new(NAME)
        .about("Call any RPC by its name; with --reflect, also those that only the server knows")
        .long_about(
            "Call any RPC by its name: graft.v1.HeadService/GetHead, HeadService/GetHead or head/get-head. Its flags follow; \
             --help among them lists them. With --reflect the server is asked what it can do, so that RPCs and fields that are newer \
             than this program can be used.",
        )
        .arg(reflect_flag())
        .arg(switch("list", "List the calls that there are"))
        .arg(switch("describe", "Show what a call takes and gives"))
        .arg(options::endpoint())
        .arg(options::headers())
        .arg(
            Arg::new("call")
                .value_name("SERVICE/METHOD")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("The call, and then its flags"),
        )
}

/// The flag that asks the server; the program may have it too, before `call`.
pub fn reflect_flag() -> Arg {
    switch("reflect", "Ask the server what it can do, rather than this program")
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Run it. `reflect` says that the program was told `--reflect` before `call`.
///
/// # Errors
/// Whatever keeps it from being done.
pub async fn run(
    built_in: &Contract,
    matches: &ArgMatches,
    reflect: bool,
    program: Program<'_>,
) -> Result<(), Failure> {
    let mut words: Vec<String> =
        matches.get_many::<String>("call").map(|words| words.cloned().collect()).unwrap_or_default();
    let options = options(matches, &words)?;
    let reflected = match reflect || matches.get_flag("reflect") {
        true => Some(reflected(built_in, &words, &options, program.dial).await?),
        false => None,
    };
    let contract = reflected.as_ref().unwrap_or(built_in);
    if matches.get_flag("list") {
        return show::write(program.out, describe::list(contract).as_bytes());
    }
    if words.is_empty() {
        let message = "SERVICE/METHOD is missing; --list lists the calls that there are".to_owned();
        return Err(Failure::usage(&mut command(), ErrorKind::MissingRequiredArgument, message));
    }
    let method = find(contract, &words.remove(0))?;
    if matches.get_flag("describe") {
        return show::write(program.out, describe::describe(contract, &method).as_bytes());
    }
    let mut inner = command::of_method(contract, &method, program.flags);
    inner = inner.bin_name(format!("{} {NAME} {}", program.name, describe::full_name(&method)));
    // What stands before the name is true of the call too.
    let before = before(matches).into_iter().chain(words.iter().map(OsString::from));
    let arguments = std::iter::once(OsString::from(NAME)).chain(before);
    let matches = inner.try_get_matches_from_mut(arguments).map_err(|error| Failure::Usage(Box::new(error)))?;
    run::run_method(contract, &method, &matches, program).await
}

/// The address and the headers that stand before the call or, where nobody has read its flags yet, among them.
fn options(matches: &ArgMatches, words: &[String]) -> Result<Options, Failure> {
    let known = Command::new(NAME).args([options::endpoint(), options::headers()]);
    let arguments = std::iter::once(OsString::from(NAME)).chain(before(matches)).chain(of_connection(words));
    let found = known.try_get_matches_from(arguments).map_err(|error| Failure::Usage(Box::new(error)))?;
    Options::of(&found).map_err(Failure::Input)
}

/// `--endpoint URL` and `--header KEY=VALUE` among the flags of a call that is not known yet.
fn of_connection(words: &[String]) -> Vec<OsString> {
    let (mut found, mut words) = (Vec::new(), words.iter());
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if matches!(name, "--endpoint" | "--header") {
            found.push(word.into());
            if name == word {
                found.extend(words.next().map(OsString::from));
            }
        }
    }
    found
}

fn before(matches: &ArgMatches) -> Vec<OsString> {
    let of = |name: &str| {
        let values = matches.try_get_raw(name).ok().flatten().into_iter().flatten();
        values.map(|value| format!("--{name}={}", value.to_string_lossy()).into()).collect::<Vec<OsString>>()
    };
    [of("endpoint"), of("header")].concat()
}

async fn reflected(
    built_in: &Contract,
    words: &[String],
    options: &Options,
    dial: &dyn Dial,
) -> Result<Contract, Failure> {
    // Where the service usually is, if it is known; a new one is asked for by its endpoint.
    let known = words.first().and_then(|name| find(built_in, name).ok());
    let service = match (&known, words.first().and_then(|name| name.rsplit_once('/'))) {
        (Some(method), _) => method.parent_service().full_name().to_owned(),
        (None, Some((service, _))) => full_service(built_in, service),
        _ => String::new(),
    };
    let connection: Connection = dial.dial(&service, options.endpoint.as_deref())?;
    let headers = MetadataMap::from_headers(options.headers.iter().cloned().collect());
    reflect::contract(&connection, &headers).await
}

fn full_service(contract: &Contract, name: &str) -> String {
    let found = contract.pool().services().find(|service| is_service(service.full_name(), service.name(), name));
    found.map_or_else(|| name.to_owned(), |service| service.full_name().to_owned())
}

fn is_service(full: &str, short: &str, asked: &str) -> bool {
    full == asked || short == asked || names::group(short) == asked
}

/// The call of this name, of a length and in a spelling of the caller's choice.
///
/// # Errors
/// None, or several; those that may be meant are named.
pub fn find(contract: &Contract, name: &str) -> Result<MethodDescriptor, Failure> {
    let (service, method) = name.trim_start_matches('/').rsplit_once('/').unwrap_or(("", name));
    let is = |found: &MethodDescriptor| {
        let within = found.parent_service();
        is_service(within.full_name(), within.name(), service)
            && (found.name() == method || names::kebab(found.name()) == method)
    };
    let methods = contract.methods();
    let found: Vec<&MethodDescriptor> = methods.iter().filter(|method| is(method)).collect();
    match found[..] {
        [method] => Ok(method.clone()),
        [] => Err(unknown(&methods, name)),
        _ => {
            let names: Vec<String> = found.iter().map(|method| describe::full_name(method)).collect();
            let message = format!("`{name}` could be any of {}", names.join(", "));
            Err(Failure::usage(&mut command(), ErrorKind::InvalidValue, message))
        }
    }
}

/// Clap knows how to propose the name that was meant.
fn unknown(methods: &[MethodDescriptor], name: &str) -> Failure {
    let names = PossibleValuesParser::new(methods.iter().map(describe::full_name).collect::<Vec<_>>());
    let command =
        Command::new(NAME).arg(Arg::new("call").value_name("SERVICE/METHOD").required(true).value_parser(names));
    match command.try_get_matches_from([NAME, "--", name]) {
        Err(error) => Failure::Usage(Box::new(error)),
        Ok(_) => Failure::Input(format!("{name}: there is no such call")),
    }
}
