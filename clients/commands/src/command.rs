//! Commands for RPCs, and groups of them for services.

use clap::Command;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::{Contract, arguments, comments, flags, names, options};

/// The command of an RPC. `program` are the names of the flags that the program has for all its commands.
pub fn of_method(contract: &Contract, method: &MethodDescriptor, program: &[String]) -> Command {
    let taken = options::taken(program);
    let comment = contract.about_method(method);
    let fields = flags::flags(&method.input(), &taken);
    let fields = fields.iter().map(|flag| arguments::argument(flag, contract.comments()));
    Command::new(names::kebab(method.name()))
        .about(comments::first_sentence(comment).to_owned())
        .long_about(format!("{comment}\n\n{}", signature(method)))
        .args(fields)
        .args(options::arguments(method))
}

/// The commands of a service.
pub fn of_service(contract: &Contract, service: &ServiceDescriptor, program: &[String]) -> Vec<Command> {
    service.methods().map(|method| of_method(contract, &method, program)).collect()
}

/// `command`, which is the group of a service by its name, with a command for each RPC. Commands that it has already stay:
/// those were written by hand.
pub fn fill(contract: &Contract, command: Command, program: &[String]) -> Command {
    let Some(service) = contract.service_of(command.get_name()) else { return command };
    let known: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
    let generated = of_service(contract, &service, program).into_iter();
    command.subcommands(generated.filter(|command| !known.iter().any(|known| known == command.get_name())))
}

/// The call in the contract's own words.
pub fn signature(method: &MethodDescriptor) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    format!(
        "Calls {}/{}({}{}) returns ({}{}).",
        method.parent_service().full_name(),
        method.name(),
        stream(method.is_client_streaming()),
        method.input().name(),
        stream(method.is_server_streaming()),
        method.output().name(),
    )
}
