//! `graft canary` and `graft shadow`: a version that answers a part of an alias's requests, or is asked besides.

use anyhow::{Context, Result, bail};
use clap::Args;
use graft_client::{
    Graft,
    proto::{Alias, Canary as Part, GetHeadRequest, ListAliasesRequest, SplitTrafficRequest},
};

use crate::{
    Done,
    output::Output,
    promote::{self, Change},
};

/// Let a version answer a part of the requests for an alias.
#[derive(Args)]
pub struct Canary {
    /// The classifier: NAME@VERSION, or NAME for its newest version.
    head: String,
    /// The part of the requests, 0 to 100 in steps of 0.01. Callers that give a key keep their side while it grows.
    #[arg(long, value_name = "PERCENT", required_unless_present = "off", conflicts_with = "off")]
    percent: Option<f64>,
    #[command(flatten)]
    of: Of,
}

/// Ask a version the same as an alias, and compare its answers with those that are given.
#[derive(Args)]
pub struct Shadow {
    /// The classifier: NAME@VERSION, or NAME for its newest version.
    head: String,
    #[command(flatten)]
    of: Of,
}

/// Which alias.
#[derive(Args)]
struct Of {
    /// The alias.
    #[arg(long, default_value = "production", value_name = "ALIAS")]
    alias: String,
    /// End it.
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    change: Change,
}

impl Canary {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Canary { head, percent, of } = self;
        let canary = match percent {
            Some(percent) => Some(Part { version: version(graft, &head).await?, percent }),
            None => None,
        };
        of.split(graft, &head, output, |alias| (canary, alias.shadow_version)).await
    }
}

impl Shadow {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Shadow { head, of } = self;
        let shadow = if of.off { 0 } else { version(graft, &head).await? };
        of.split(graft, &head, output, |alias| (alias.canary, shadow)).await
    }
}

impl Of {
    /// Split the traffic of the alias of `head` as `wanted` says, given how it is now.
    async fn split(
        self,
        graft: &Graft,
        head: &str,
        output: Output,
        wanted: impl FnOnce(&Alias) -> (Option<Part>, u32),
    ) -> Result<Done> {
        let head = head.split_once('@').map_or(head, |(name, _)| name);
        let now = alias(graft, head, &self.alias).await?;
        let (canary, shadow_version) = wanted(&now);
        let request = SplitTrafficRequest {
            head: head.to_owned(),
            alias: self.alias,
            canary,
            shadow_version,
            // What is kept of the split is kept of this version.
            expected_version: Some(self.change.expected.unwrap_or(now.version)),
            by: self.change.by,
        };
        let answer = graft.trainer.heads().split_traffic(request).await;
        let alias = answer.map_err(|status| graft.trainer.error(status))?.into_inner().alias.context("no alias")?;
        output.show(|| text(&alias), || promote::alias(&alias))?;
        Ok(Done::All)
    }
}

/// The number of the version that is meant.
async fn version(graft: &Graft, head: &str) -> Result<u32> {
    let answer = graft.trainer.heads().get_head(GetHeadRequest { name: head.to_owned() }).await;
    let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
    Ok(answer.head.context("no head")?.version)
}

/// An alias of a head. There are at most 100, which fit a page.
async fn alias(graft: &Graft, head: &str, name: &str) -> Result<Alias> {
    let request = ListAliasesRequest { head: head.to_owned(), page_size: 1000, page_token: String::new() };
    let answer = graft.trainer.heads().list_aliases(request).await;
    let aliases = answer.map_err(|status| graft.trainer.error(status))?.into_inner().aliases;
    match aliases.into_iter().find(|alias| alias.name == name) {
        Some(alias) => Ok(alias),
        None => bail!("`{head}@{name}` does not exist; `graft promote` makes it"),
    }
}

fn text(alias: &Alias) -> String {
    let Alias { head, name, version, canary, shadow_version, .. } = alias;
    let mut text = format!("{head}@{name} is version {version}");
    if let Some(Part { version, percent }) = canary {
        text += &format!("; version {version} answers {percent}% of the requests");
    }
    if *shadow_version > 0 {
        text += &format!("; version {shadow_version} is asked besides");
    }
    if canary.is_none() && *shadow_version == 0 {
        text += " for all requests";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_says_who_answers() {
        let mut alias = Alias { head: "h".into(), name: "live".into(), version: 1, ..Default::default() };
        assert_eq!(text(&alias), "h@live is version 1 for all requests");
        alias.canary = Some(Part { version: 2, percent: 12.5 });
        alias.shadow_version = 3;
        assert_eq!(
            text(&alias),
            "h@live is version 1; version 2 answers 12.5% of the requests; version 3 is asked besides"
        );
        assert_eq!(promote::alias(&alias)["canary"]["percent"], 12.5);
    }
}
