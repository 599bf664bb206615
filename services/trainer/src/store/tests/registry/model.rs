//! A registry in memory.

use std::collections::BTreeMap;

use graft_proto::v1::PromotionAction;

use crate::{
    names::{Alias, HeadRef},
    store::{
        aliases::{Action, Changed},
        heads::Deleted,
    },
};

/// What may be done with heads. Names are few, so that operations meet.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Put {
        name: u8,
        weight: u8,
    },
    Get {
        name: u8,
        version: Option<u32>,
    },
    List {
        after: u8,
        most: u32,
    },
    Delete {
        name: u8,
        version: Option<u32>,
    },
    /// `seen` is what the caller believes the alias to be on.
    Change {
        name: u8,
        alias: u8,
        action: Action,
        seen: Option<Option<u32>>,
    },
    GetByAlias {
        name: u8,
        alias: u8,
    },
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Version(u32),
    /// Version and weight.
    Found(Option<(u32, u8)>),
    /// Names and newest versions.
    Heads(Vec<(String, u32)>),
    Deleted(Deleted),
    /// The versions that the alias was and is on, and those that were passed over; or why nothing was changed.
    Changed(Result<(u32, u32, Vec<u32>), Changed>),
}

/// A registry in memory.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The weight of each version of each head.
    heads: BTreeMap<String, BTreeMap<u32, u8>>,
    /// The highest version that each head ever had.
    latest: BTreeMap<String, u32>,
    /// The versions that each alias of each head was put on, one on top of the other; it is on the last.
    aliases: BTreeMap<(String, String), Vec<u32>>,
    /// Of each head: alias, action, from, to.
    pub(super) history: BTreeMap<String, Vec<(String, PromotionAction, u32, u32)>>,
}

pub(super) fn alias(number: u8) -> Alias {
    Alias::parse("alias", ["production", "canary"][usize::from(number)]).unwrap()
}

pub(super) fn name(number: u8) -> String {
    // In the order of bytes; that of a dictionary passes over the punctuation.
    ["a-z", "a.b", "aa", "b"][usize::from(number)].to_owned()
}

pub(super) fn wanted(number: u8, version: Option<u32>) -> HeadRef {
    let version = version.map_or(String::new(), |version| format!("@{version}"));
    HeadRef::parse("head", &format!("{}{version}", name(number))).unwrap()
}

impl Model {
    pub(super) fn apply(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Put { name: number, weight } => {
                let latest = self.latest.entry(name(*number)).or_default();
                *latest += 1;
                self.heads.entry(name(*number)).or_default().insert(*latest, *weight);
                Answer::Version(*latest)
            }
            Operation::Get { name: number, version } => {
                let versions = self.heads.get(&name(*number));
                let found = versions.and_then(|versions| match version {
                    Some(version) => versions.get_key_value(version),
                    None => versions.last_key_value(),
                });
                Answer::Found(found.map(|(version, weight)| (*version, *weight)))
            }
            Operation::List { after, most } => {
                let heads = self.heads.iter().filter(|(head, versions)| **head > name(*after) && !versions.is_empty());
                let newest = heads.filter_map(|(head, versions)| Some((head.clone(), *versions.last_key_value()?.0)));
                Answer::Heads(newest.take(*most as usize).collect())
            }
            Operation::Delete { name: number, version } => {
                let of_head = self.aliases.range((name(*number), String::new())..);
                let of_head = of_head.take_while(|((head, _), _)| *head == name(*number));
                let on = of_head.filter_map(|((_, alias), stack)| Some((alias.clone(), *stack.last()?)));
                let held: Vec<_> = on.filter(|(_, on)| version.is_none_or(|version| version == *on)).collect();
                if !held.is_empty() {
                    return Answer::Deleted(Deleted::Held(held));
                }
                let versions = self.heads.entry(name(*number)).or_default();
                let before = versions.len();
                versions.retain(|there, _| version.is_some_and(|version| version != *there));
                Answer::Deleted(if versions.len() < before { Deleted::Done } else { Deleted::Nothing })
            }
            Operation::Change { name: number, alias: named, action, seen } => {
                let (head, alias) = (name(*number), alias(*named).to_string());
                let from = self.on(&head, &alias);
                let changed = match seen {
                    _ if !self.latest.contains_key(&head) => Err(match action {
                        Action::Promote { .. } => Changed::NoVersion,
                        Action::RollBack | Action::Delete => Changed::NoAlias,
                    }),
                    Some(seen) if *seen != from => Err(Changed::Elsewhere(from)),
                    _ => self.change(&head, &alias, *action),
                };
                if let Ok((from, to, _)) = &changed {
                    let action = match action {
                        Action::Promote { .. } => PromotionAction::Promote,
                        Action::RollBack => PromotionAction::RollBack,
                        Action::Delete => PromotionAction::Delete,
                    };
                    self.history.entry(head).or_default().push((alias, action, *from, *to));
                }
                Answer::Changed(changed)
            }
            Operation::GetByAlias { name: number, alias: named } => {
                let on = self.on(&name(*number), alias(*named).as_str());
                Answer::Found(on.map(|version| (version, self.heads[&name(*number)][&version])))
            }
        }
    }

    fn on(&self, head: &str, alias: &str) -> Option<u32> {
        self.aliases.get(&(head.to_owned(), alias.to_owned()))?.last().copied()
    }

    #[allow(clippy::result_large_err, reason = "a model need not be small")]
    fn change(&mut self, head: &str, alias: &str, action: Action) -> Result<(u32, u32, Vec<u32>), Changed> {
        let there = |version: u32| self.heads.get(head).is_some_and(|versions| versions.contains_key(&version));
        let stack = self.aliases.entry((head.to_owned(), alias.to_owned())).or_default();
        let from = stack.last().copied();
        match (action, from) {
            (Action::Promote { version, .. }, _) if !there(version) => Err(Changed::NoVersion),
            (Action::Promote { version, .. }, from) if from == Some(version) => Err(Changed::Unchanged),
            (Action::Promote { version, .. }, from) => {
                stack.push(version);
                Ok((from.unwrap_or_default(), version, Vec::new()))
            }
            (Action::RollBack | Action::Delete, None) => Err(Changed::NoAlias),
            (Action::Delete, Some(from)) => {
                stack.clear();
                Ok((from, 0, Vec::new()))
            }
            (Action::RollBack, Some(from)) => {
                let back = stack.iter().rposition(|version| *version != from && there(*version));
                let back = back.ok_or(Changed::NoEarlier)?;
                let mut skipped = stack.split_off(back + 1);
                skipped.retain(|version| *version != from);
                skipped.reverse();
                Ok((from, stack[back], skipped))
            }
        }
    }

    /// The aliases that are there: head, alias, version.
    pub(super) fn all_aliases(&self) -> Vec<(String, String, u32)> {
        let on = self
            .aliases
            .iter()
            .filter_map(|((head, alias), stack)| Some((head.clone(), alias.clone(), *stack.last()?)));
        on.collect()
    }
}
