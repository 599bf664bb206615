//! `graft promote` and `graft rollback`: which version of a classifier an alias is on.

use anyhow::{Context, Result};
use clap::Args;
use graft_client::{
    Graft,
    proto::{
        Alias, Canary, Gate, GateFigures, GateOutcome, PromoteHeadRequest, PromoteHeadResponse, RollBackHeadRequest,
        RollBackHeadResponse,
    },
};
use serde_json::{Value, json};

use crate::{Done, aliases::describe, output::Output};

/// Put an alias on a version of a classifier, unless that is worse than the version that the alias is on.
#[derive(Args)]
pub struct Promote {
    /// The classifier: NAME for its newest version, NAME@VERSION, or NAME@ALIAS for the version that another alias is on.
    head: String,
    /// The alias. `graft classify NAME@ALIAS` asks the version that it is on.
    #[arg(long, default_value = "production", value_name = "ALIAS")]
    alias: String,
    /// By how much the accuracy or the macro F1 may be lower, 0 to 1; 0.01 unless told.
    #[arg(long, value_name = "PART")]
    tolerance: Option<f64>,
    /// Promote it even if it is worse.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    change: Change,
}

/// Put an alias back on the version that it was on before. Again, and it goes back further.
#[derive(Args)]
pub struct RollBack {
    /// The classifier.
    head: String,
    /// The alias.
    #[arg(long, default_value = "production", value_name = "ALIAS")]
    alias: String,
    #[command(flatten)]
    change: Change,
}

/// What every change of an alias may be told.
#[derive(Args)]
pub struct Change {
    /// Change nothing unless the alias is on this version; 0 if it must not be there.
    #[arg(long, value_name = "VERSION")]
    pub expected: Option<u32>,
    /// Who does it, for the history; your user name unless told.
    #[arg(long, default_value = "", env = "USER", hide_default_value = true, hide_env = true, value_name = "NAME")]
    pub by: String,
}

impl Promote {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Promote { head, alias, tolerance, force, change: Change { expected, by } } = self;
        let request = PromoteHeadRequest { head, alias, tolerance, force, expected_version: expected, by };
        let answer = graft.trainer.heads().promote_head(request).await;
        let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let text = promoted(&answer).context("no alias")?;
        output.show(|| text, || promoted_json(&answer))?;
        Ok(Done::All)
    }
}

impl RollBack {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let RollBack { head, alias, change: Change { expected, by } } = self;
        let request = RollBackHeadRequest { head, alias, expected_version: expected, by };
        let answer = graft.trainer.heads().roll_back_head(request).await;
        let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let text = rolled_back(&answer).context("no alias")?;
        output.show(|| text, || rolled_back_json(&answer))?;
        Ok(Done::All)
    }
}

/// `fashion@production is version 3`.
fn place(alias: &Alias) -> String {
    format!("{}@{} is version {}", alias.head, alias.name, alias.version)
}

fn promoted(answer: &PromoteHeadResponse) -> Option<String> {
    let mut text = place(answer.alias.as_ref()?);
    let before = answer.promotion.as_ref().map(|promotion| promotion.from_version);
    if let Some(before) = before.filter(|before| *before > 0) {
        text += &format!(", and was {before}");
    }
    let gate = answer.gate.clone().unwrap_or_default();
    text += match gate.outcome() {
        GateOutcome::Overruled => "\nit is worse than the version of before, and was promoted all the same",
        GateOutcome::NotCompared => "\nnot compared with the version of before",
        _ => "",
    };
    if let (Some(current), Some(promoted)) = (gate.current, gate.promoted) {
        text += &format!(
            "\naccuracy {:.4}, and was {:.4}; macro F1 {:.4}, and was {:.4}",
            promoted.accuracy, current.accuracy, promoted.macro_f1, current.macro_f1
        );
    }
    if !gate.note.is_empty() {
        text += &format!("\n{}", gate.note);
    }
    Some(text)
}

fn promoted_json(answer: &PromoteHeadResponse) -> Value {
    json!({
        "alias": answer.alias.as_ref().map(alias),
        "promotion": answer.promotion.as_ref().map(describe),
        "gate": answer.gate.as_ref().map(gate),
    })
}

/// An alias, for programs.
pub fn alias(alias: &Alias) -> Value {
    json!({
        "head": alias.head, "alias": alias.name, "version": alias.version, "by": alias.by,
        "update_time_seconds": alias.update_time.map(|time| time.seconds),
        "canary": alias.canary.as_ref().map(canary),
        "shadow_version": Some(alias.shadow_version).filter(|version| *version > 0),
    })
}

/// A canary, for programs.
pub fn canary(canary: &Canary) -> Value {
    json!({ "version": canary.version, "percent": canary.percent })
}

fn gate(gate: &Gate) -> Value {
    let figures = |figures: &GateFigures| json!({ "accuracy": figures.accuracy, "macro_f1": figures.macro_f1 });
    json!({
        "outcome": gate.outcome().as_str_name().trim_start_matches("GATE_OUTCOME_").to_lowercase(),
        "note": gate.note, "snapshot": gate.snapshot, "tolerance": gate.tolerance,
        "current": gate.current.as_ref().map(figures), "promoted": gate.promoted.as_ref().map(figures),
    })
}

fn rolled_back(answer: &RollBackHeadResponse) -> Option<String> {
    let mut text = place(answer.alias.as_ref()?);
    text += &format!(" again, and was {}", answer.promotion.as_ref()?.from_version);
    if !answer.skipped_versions.is_empty() {
        let skipped: Vec<String> = answer.skipped_versions.iter().map(u32::to_string).collect();
        text += &format!("\npassed over, because deleted: {}", skipped.join(", "));
    }
    Some(text)
}

fn rolled_back_json(answer: &RollBackHeadResponse) -> Value {
    json!({
        "alias": answer.alias.as_ref().map(alias),
        "promotion": answer.promotion.as_ref().map(describe),
        "skipped_versions": answer.skipped_versions,
    })
}

#[cfg(test)]
mod tests {
    use graft_client::proto::Promotion;

    use super::*;

    fn put(version: u32, from_version: u32) -> (Option<Alias>, Option<Promotion>) {
        let alias = Alias { head: "h".into(), name: "live".into(), version, ..Default::default() };
        (Some(alias), Some(Promotion { from_version, to_version: version, ..Default::default() }))
    }

    #[test]
    fn a_promotion_says_what_it_changed_and_whether_that_was_wise() {
        let (alias, promotion) = put(3, 2);
        let figures = |accuracy| Some(GateFigures { accuracy, macro_f1: accuracy });
        let gate = Gate {
            outcome: GateOutcome::Overruled as i32,
            current: figures(0.9),
            promoted: figures(0.5),
            ..Default::default()
        };
        let text = promoted(&PromoteHeadResponse { alias, promotion, gate: Some(gate) }).unwrap();
        assert!(text.starts_with("h@live is version 3, and was 2\nit is worse"), "{text}");
        assert!(text.contains("accuracy 0.5000, and was 0.9000"), "{text}");
        let (alias, promotion) = put(1, 0);
        assert_eq!(promoted(&PromoteHeadResponse { alias, promotion, gate: None }).unwrap(), "h@live is version 1");
    }

    #[test]
    fn a_roll_back_says_what_it_passed_over() {
        let (alias, promotion) = put(1, 4);
        let text = rolled_back(&RollBackHeadResponse { alias, promotion, skipped_versions: vec![3, 2] }).unwrap();
        assert_eq!(text, "h@live is version 1 again, and was 4\npassed over, because deleted: 3, 2");
    }
}
