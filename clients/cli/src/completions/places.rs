//! Which arguments are names of heads, datasets or backbones.

use clap::{Arg, Command};
use clap_complete::engine::ArgValueCandidates;

use super::ask::candidates;
use crate::names::Kind;

/// Commands, the argument of each that is a name, and of what.
const PLACES: &[(&str, &str, Kind)] = &[
    ("backbone bench", "name", Kind::Backbone),
    ("backbone remove", "name", Kind::Backbone),
    ("backbone show", "name", Kind::Backbone),
    ("canary", "head", Kind::Head),
    ("classify", "every_head_of", Kind::Backbone),
    ("classify", "head", Kind::Head),
    ("classify", "heads", Kind::Head),
    ("correct", "head", Kind::Head),
    ("corrections", "head", Kind::Head),
    ("dataset delete", "name", Kind::Dataset),
    ("dataset examples", "name", Kind::Dataset),
    ("dataset export", "name", Kind::Dataset),
    ("dataset relabel", "name", Kind::Dataset),
    ("dataset remove", "name", Kind::Dataset),
    ("dataset show", "name", Kind::Dataset),
    ("dataset snapshot", "name", Kind::Dataset),
    ("dataset snapshots", "name", Kind::Dataset),
    ("dataset stats", "name", Kind::Dataset),
    ("diff", "first", Kind::Head),
    ("diff", "second", Kind::Head),
    ("export", "head", Kind::Head),
    ("heads aliases", "head", Kind::Head),
    ("heads delete", "name", Kind::Head),
    ("heads history", "head", Kind::Head),
    ("heads show", "name", Kind::Head),
    ("import", "backbone", Kind::Backbone),
    ("import", "dataset", Kind::Dataset),
    ("import-head", "backbone", Kind::Backbone),
    ("promote", "head", Kind::Head),
    ("report", "head", Kind::Head),
    ("rollback", "head", Kind::Head),
    ("shadow", "head", Kind::Head),
    ("suggest", "dataset", Kind::Dataset),
    ("suggest", "head", Kind::Head),
    ("traffic", "head", Kind::Head),
    ("train", "dataset", Kind::Dataset),
    ("train", "head", Kind::Head),
];

/// The command, which knows whom to ask for names.
pub fn put_into(command: Command) -> Command {
    PLACES.iter().fold(command, |command, (path, argument, kind)| {
        let path: Vec<&str> = path.split(' ').collect();
        let asks = |found: Arg| if found.get_id() == argument { asks(found, *kind) } else { found };
        at(command, &path, &|command| command.mut_args(asks))
    })
}

fn asks(argument: Arg, kind: Kind) -> Arg {
    argument.add(ArgValueCandidates::new(move || candidates(kind)))
}

/// Change the command below `command` that `path` leads to, in its place.
pub fn at(command: Command, path: &[&str], change: &dyn Fn(Command) -> Command) -> Command {
    match path {
        [] => change(command),
        [first, rest @ ..] => command.mut_subcommands(|below| match below.get_name() == *first {
            true => at(below, rest, change),
            false => below,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_there() {
        for (path, argument, _) in PLACES {
            let command = path.split(' ').fold(crate::command(), |command, name| {
                let below = command.find_subcommand(name);
                below.unwrap_or_else(|| panic!("there is no `graft {path}`")).clone()
            });
            assert!(command.get_arguments().any(|found| found.get_id() == argument), "{path}: {argument}");
        }
        put_into(crate::command()).debug_assert();
    }
}
