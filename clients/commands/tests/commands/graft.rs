//! Each RPC of Graft's own contract has its command, with help for it and for each of its flags; and so will those to come.

use std::collections::HashSet;

use clap::Command;
use graft_commands::{Contract, command, comments, names, summary};

fn contract() -> Contract {
    Contract::decode(graft_proto::FILE_DESCRIPTOR_SET).unwrap()
}

fn groups(contract: &Contract) -> Vec<Command> {
    let services: Vec<_> = contract.pool().services().collect();
    services
        .iter()
        .map(|service| command::fill(contract, Command::new(names::group(service.name())), &["trainer".to_owned()]))
        .collect()
}

#[test]
fn each_rpc_has_its_command_and_each_flag_its_help() {
    let contract = contract();
    let groups = groups(&contract);
    let mut commands = 0;
    for method in contract.methods() {
        let name = method.full_name();
        let group = names::group(method.parent_service().name());
        let group = groups.iter().find(|command| command.get_name() == group).unwrap();
        let command = group.find_subcommand(names::kebab(method.name())).expect(name);
        assert!(!command.get_about().expect(name).to_string().is_empty(), "{name} has no help");
        let comment = comments::first_sentence(contract.about_method(&method)).to_owned();
        assert_eq!(command.get_about().unwrap().to_string(), comment);
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(!argument.get_help().expect(name).to_string().is_empty(), "{name}: {id} has no help");
        }
        for field in method.input().fields() {
            let flag = names::kebab(field.name());
            let found = command.get_arguments().any(|argument| {
                argument.get_long() == Some(flag.as_str()) || argument.get_long() == Some(&format!("request.{flag}"))
            });
            assert!(found, "{name}: {flag} has no flag");
        }
        commands += 1;
    }
    assert_eq!(commands, groups.iter().map(|group| group.get_subcommands().count()).sum::<usize>());
    assert!(commands > 40, "{commands}");
}

#[test]
fn no_two_flags_of_a_command_have_one_name() {
    for group in groups(&contract()) {
        for mut command in group.get_subcommands().cloned() {
            command.build();
            let mut names = HashSet::new();
            for argument in command.get_arguments() {
                let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
                for name in longs.into_iter().map(str::to_owned) {
                    assert!(names.insert(name.clone()), "{} has two --{name}", command.get_name());
                }
            }
        }
    }
}

#[test]
fn short_forms_and_choices_are_there() {
    let contract = contract();
    let groups = groups(&contract);
    let training = groups.iter().find(|group| group.get_name() == "training").unwrap();
    let create = training.find_subcommand("create-training-run").unwrap().clone();
    let arguments =
        ["x", "--dataset", "d", "--head", "h", "--l2", "0.01,0.1", "--head-kind", "softmax", "--class-weights", "a=2"];
    let matches = create.try_get_matches_from(arguments).unwrap();
    assert_eq!(matches.get_many::<String>("field.options.l2").unwrap().collect::<Vec<_>>(), ["0.01", "0.1"]);
    assert_eq!(matches.get_one::<String>("field.options.head-kind").unwrap(), "softmax");
}

#[test]
fn groups_are_known_without_their_commands() {
    let found = summary::of(graft_proto::FILE_DESCRIPTOR_SET).unwrap();
    let contract = contract();
    let services: Vec<_> = contract.pool().services().collect();
    assert_eq!(found.len(), services.len());
    for service in services {
        let summary = found.iter().find(|summary| summary.service == service.full_name()).unwrap();
        assert_eq!(summary.group, names::group(service.name()));
        assert_eq!(summary.about, comments::first_sentence(contract.about_service(&service)));
        assert!(!summary.about.is_empty(), "{} has no comment", summary.service);
    }
    for group in ["extractor", "training", "dataset", "head", "classifier", "feedback", "maintenance"] {
        assert!(found.iter().any(|summary| summary.group == group), "{group}");
    }
}
