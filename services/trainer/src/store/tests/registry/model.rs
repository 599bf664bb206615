//! A registry in memory.

use std::collections::BTreeMap;

use graft_proto::v1::PromotionAction;

use crate::{
    names::{Alias, HeadRef},
    store::{
        aliases::{Action, Changed, Hold, Role, Split},
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
    /// How the traffic of each alias is split.
    splits: BTreeMap<(String, String), Split>,
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

#[allow(clippy::result_large_err, reason = "a model need not be small")]
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
                let mut held = self.holds(&name(*number));
                held.retain(|hold| version.is_none_or(|version| version == hold.version));
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
                        Action::RollBack | Action::Delete | Action::Split(_) => Changed::NoAlias,
                    }),
                    Some(seen) if *seen != from => Err(Changed::Elsewhere(from)),
                    _ => self.change(&head, &alias, *action),
                };
                if let Ok((from, to, _)) = &changed {
                    let action = match action {
                        Action::Promote { .. } => PromotionAction::Promote,
                        Action::RollBack => PromotionAction::RollBack,
                        Action::Delete => PromotionAction::Delete,
                        Action::Split(_) => PromotionAction::Split,
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

    /// What keeps versions of a head from being deleted.
    fn holds(&self, head: &str) -> Vec<Hold> {
        let mut holds = Vec::new();
        for (_, alias, version) in self.all_aliases().into_iter().filter(|(of, ..)| of == head) {
            let split = self.split(head, &alias);
            let canary = split.canary.map(|canary| canary.version);
            let roles = [(Role::Own, Some(version)), (Role::Canary, canary), (Role::Shadow, split.shadow)];
            for (role, version) in roles {
                holds.extend(version.map(|version| Hold { alias: alias.clone(), version, role }));
            }
        }
        holds
    }

    /// How the traffic of an alias is split.
    pub(super) fn split(&self, head: &str, alias: &str) -> Split {
        self.splits.get(&(head.to_owned(), alias.to_owned())).copied().unwrap_or_default()
    }

    fn change(&mut self, head: &str, alias: &str, action: Action) -> Result<(u32, u32, Vec<u32>), Changed> {
        let key = (head.to_owned(), alias.to_owned());
        let before = self.split(head, alias);
        let done = match action {
            Action::Split(wanted) => self.split_like(head, alias, before, wanted)?,
            action => self.move_alias(head, alias, action)?,
        };
        self.splits.insert(key, if let Action::Split(wanted) = action { wanted } else { Split::default() });
        Ok(done)
    }

    fn split_like(
        &self,
        head: &str,
        alias: &str,
        before: Split,
        wanted: Split,
    ) -> Result<(u32, u32, Vec<u32>), Changed> {
        let on = self.on(head, alias).ok_or(Changed::NoAlias)?;
        if before == wanted {
            return Err(Changed::Unchanged);
        }
        for version in [wanted.canary.map(|canary| canary.version), wanted.shadow].into_iter().flatten() {
            if version == on {
                return Err(Changed::OnIt(version));
            }
            if !self.heads.get(head).is_some_and(|versions| versions.contains_key(&version)) {
                return Err(Changed::NoSuch(version));
            }
        }
        Ok((on, on, Vec::new()))
    }

    fn move_alias(&mut self, head: &str, alias: &str, action: Action) -> Result<(u32, u32, Vec<u32>), Changed> {
        let there = |version: u32| self.heads.get(head).is_some_and(|versions| versions.contains_key(&version));
        let stack = self.aliases.entry((head.to_owned(), alias.to_owned())).or_default();
        let from = stack.last().copied();
        match (action, from) {
            (Action::Split(_), _) => unreachable!("it moves nothing"),
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
