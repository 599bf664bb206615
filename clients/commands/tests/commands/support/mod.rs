//! The contract of the tests, and commands run on it.

use std::{path::Path, sync::OnceLock};

use clap::Command;
use graft_commands::{Connection, Contract, Failure, Program, by_name, command, dial, run};
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};

pub mod server;
pub mod to_flags;

/// The encoded descriptor set of `everything.proto`.
pub fn set() -> &'static [u8] {
    static SET: OnceLock<Vec<u8>> = OnceLock::new();
    SET.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
        let mut compiler = protox::Compiler::new([folder]).unwrap();
        compiler.include_imports(true).include_source_info(true).open_file("everything.proto").unwrap();
        compiler.encode_file_descriptor_set()
    })
}

/// Its contract.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::decode(set()).unwrap())
}

/// A program with one flag of its own, and the commands of the echo service.
pub fn program() -> (Command, Vec<String>) {
    let flags = vec!["trainer".to_owned()];
    let trainer = clap::Arg::new("trainer").long("trainer").global(true);
    let group = command::fill(contract(), Command::new("echo"), &flags);
    (Command::new("graft").arg(trainer).subcommand(group).subcommand(by_name::command()), flags)
}

/// Run `graft echo ARGUMENTS` on the server at `url`: how it ended, and what it wrote.
pub async fn echo(url: &str, arguments: &[&str]) -> (Result<(), Failure>, String) {
    graft(url, &[&["echo"], arguments].concat()).await
}

/// Run `graft ARGUMENTS` on the server at `url`.
pub async fn graft(url: &str, arguments: &[&str]) -> (Result<(), Failure>, String) {
    let (command, flags) = program();
    let matches = match command.try_get_matches_from([&["graft"], arguments].concat()) {
        Ok(matches) => matches,
        Err(error) => return (Err(Failure::Usage(Box::new(error))), String::new()),
    };
    let dial =
        |_: &str, endpoint: Option<&str>| -> Result<Connection, Failure> { dial::plain(endpoint.unwrap_or(url)) };
    let mut out = Vec::new();
    let program = Program { name: "graft", flags: &flags, dial: &dial, out: &mut out };
    let done = match matches.subcommand().unwrap() {
        ("call", matches) => by_name::run(contract(), matches, false, program).await,
        (_, matches) => run(contract(), &contract().service_of("echo").unwrap(), matches, program).await,
    };
    (done, String::from_utf8(out).unwrap())
}

/// The same, which must succeed.
pub async fn echoed(url: &str, arguments: &[&str]) -> String {
    let (done, out) = echo(url, arguments).await;
    done.unwrap_or_else(|failure| panic!("{arguments:?}: {failure}"));
    out
}

/// A message of the contract from JSON.
pub fn message(name: &str, json: serde_json::Value) -> DynamicMessage {
    let of = contract().pool().get_message_by_name(&format!("test.v1.{name}")).unwrap();
    sent(&DynamicMessage::deserialize(of, json).unwrap())
}

/// A message as it is on the other side of the wire: what is default there is not there.
pub fn sent(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice()).unwrap()
}

/// The messages on the lines of JSON that a command wrote.
pub fn messages(name: &str, lines: &str) -> Vec<DynamicMessage> {
    lines.lines().map(|line| message(name, serde_json::from_str(line).unwrap())).collect()
}
