//! `graft heads aliases`, `unalias` and `history`: which aliases there are, and what was done to them.

use anyhow::{Context, Result};
use clap::Args;
use graft_client::{
    Graft,
    proto::{Alias, Canary, DeleteAliasRequest, ListAliasesRequest, ListPromotionsRequest, Promotion, PromotionAction},
};
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
    pages::{ALL, pages},
    promote::{self, Change},
};

/// Aliases, with the versions that they are on.
#[derive(Args)]
pub struct List {
    /// The classifier; all of them unless told.
    #[arg(default_value = "", hide_default_value = true)]
    head: String,
}

/// Delete an alias. The version that it is on stays.
#[derive(Args)]
pub struct Delete {
    /// The alias: NAME@ALIAS.
    #[arg(value_name = "NAME@ALIAS")]
    alias: String,
    #[command(flatten)]
    change: Change,
}

/// What was done to the aliases of a classifier, and by whom; the newest first.
#[derive(Args)]
pub struct History {
    /// The classifier.
    head: String,
    /// This alias alone.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ALIAS")]
    alias: String,
    /// Entries to show, at the most.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

impl List {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let page = async |page_size, page_token| {
            let request = ListAliasesRequest { head: self.head.clone(), page_size, page_token };
            let answer = graft.trainer.heads().list_aliases(request).await;
            let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
            Ok((page.aliases, page.next_page_token))
        };
        let aliases = pages(ALL, page).await?.entries;
        let row = |alias: &Alias| {
            let Alias { head, name, version, by, .. } = alias;
            let beside = beside(alias.canary.as_ref(), alias.shadow_version);
            vec![format!("{head}@{name}"), version.to_string(), beside, time(alias.update_time), by.clone()]
        };
        let text =
            || table(&["alias", "version", "beside", "since", "by"], &aliases.iter().map(row).collect::<Vec<_>>());
        output.show(text, || aliases.iter().map(promote::alias).collect())?;
        Ok(Done::All)
    }
}

impl Delete {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let (head, alias) = self.alias.split_once('@').context("an alias is named as in fashion@production")?;
        let Change { expected, by } = self.change;
        let request = DeleteAliasRequest { head: head.into(), alias: alias.into(), expected_version: expected, by };
        let answer = graft.trainer.heads().delete_alias(request).await;
        let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let promotion = answer.promotion.context("no entry of the history")?;
        let text = format!("deleted {}; it was version {}", self.alias, promotion.from_version);
        output.show(|| text, || describe(&promotion))?;
        Ok(Done::All)
    }
}

impl History {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let History { head, alias, limit } = self;
        let page = async |page_size, page_token| {
            let request = ListPromotionsRequest { head: head.clone(), alias: alias.clone(), page_size, page_token };
            let answer = graft.trainer.heads().list_promotions(request).await;
            let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
            Ok((page.promotions, page.next_page_token))
        };
        let entries = pages(limit, page).await?.entries;
        output.show(|| history(&entries), || entries.iter().map(describe).collect())?;
        Ok(Done::All)
    }
}

fn history(entries: &[Promotion]) -> String {
    let version = |version: u32| if version == 0 { "-".to_owned() } else { version.to_string() };
    let row = |entry: &Promotion| {
        let action = action(entry).replace('_', " ");
        let what = match entry.action() {
            PromotionAction::Split => format!("{action}: {}", beside(entry.canary.as_ref(), entry.shadow_version)),
            _ if entry.forced => action + " (forced)",
            _ => action,
        };
        vec![
            entry.number.to_string(),
            entry.alias.clone(),
            what,
            version(entry.from_version),
            version(entry.to_version),
            time(entry.create_time),
            entry.by.clone(),
        ]
    };
    table(&["", "alias", "what", "from", "to", "when", "by"], &entries.iter().map(row).collect::<Vec<_>>())
}

/// `canary 2 10%, shadow 3`, or `-`.
fn beside(canary: Option<&Canary>, shadow: u32) -> String {
    let canary = canary.map(|Canary { version, percent }| format!("canary {version} {percent}%"));
    let shadow = (shadow > 0).then(|| format!("shadow {shadow}"));
    let both: Vec<String> = canary.into_iter().chain(shadow).collect();
    if both.is_empty() { "-".to_owned() } else { both.join(", ") }
}

/// `promote`, `roll_back`, `delete` or `split`.
fn action(entry: &Promotion) -> String {
    match entry.action() {
        PromotionAction::Unspecified => "unknown".to_owned(),
        known => known.as_str_name().trim_start_matches("PROMOTION_ACTION_").to_lowercase(),
    }
}

/// An entry of the history, for programs.
pub fn describe(entry: &Promotion) -> Value {
    json!({
        "head": entry.head, "number": entry.number, "alias": entry.alias, "action": action(entry),
        "from_version": Some(entry.from_version).filter(|version| *version > 0),
        "to_version": Some(entry.to_version).filter(|version| *version > 0),
        "by": entry.by, "create_time_seconds": entry.create_time.map(|time| time.seconds), "forced": entry.forced,
        "canary": entry.canary.as_ref().map(promote::canary),
        "shadow_version": Some(entry.shadow_version).filter(|version| *version > 0),
    })
}

/// A moment to the second, in UTC.
fn time(time: Option<Timestamp>) -> String {
    time.map(|time| Timestamp { nanos: 0, ..time }.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_says_who_did_what_and_when() {
        let entry = Promotion {
            number: 2,
            alias: "live".into(),
            action: PromotionAction::RollBack as i32,
            from_version: 3,
            to_version: 1,
            by: "zoë".into(),
            create_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 7 }),
            ..Default::default()
        };
        let first = Promotion { number: 1, action: PromotionAction::Promote as i32, forced: true, ..entry.clone() };
        let text = history(&[entry.clone(), Promotion { from_version: 0, ..first }]);
        assert_eq!(
            text,
            "   alias              what  from  to                  when   by\n\
             2   live         roll back     3   1  2023-11-14T22:13:20Z  zoë\n\
             1   live  promote (forced)     -   1  2023-11-14T22:13:20Z  zoë\n"
        );
        assert_eq!(describe(&entry)["action"], "roll_back");
        let canary = Some(Canary { version: 4, percent: 2.5 });
        let split = Promotion { action: PromotionAction::Split as i32, canary, shadow_version: 5, ..entry };
        let text = history(&[split.clone(), Promotion { canary: None, shadow_version: 0, ..split }]);
        assert!(text.contains("split: canary 4 2.5%, shadow 5") && text.contains("split: -"), "{text}");
    }
}
