//! `graft suggest`: which unlabelled images to label first.

use anyhow::Result;
use clap::Args;
use graft_client::{
    Graft,
    proto::{SuggestExamplesRequest, SuggestExamplesResponse, Suggestion},
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
};

/// Tell which unlabelled images of a dataset to label first: those that a head is least sure of, no two nearly the same.
/// `graft dataset relabel` labels them.
#[derive(Args)]
pub struct Suggest {
    /// The dataset.
    dataset: String,
    /// The head that is to learn: NAME for its newest version, or NAME@VERSION; the one named like the dataset unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    head: String,
    /// How many.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    count: u32,
    /// The ids alone, one a line, for other programs.
    #[arg(long)]
    ids: bool,
}

impl Suggest {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let request = SuggestExamplesRequest { dataset: self.dataset.clone(), head: self.head, count: self.count };
        let answer = graft.trainer.feedback().suggest_examples(request).await;
        let found = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        match self.ids {
            false => output.show(|| text(&self.dataset, &found), || json(&found))?,
            true if found.suggestions.is_empty() => {}
            true => {
                let lines = found.suggestions.iter().map(|one| format!("{}\n", one.id));
                Output::Table.show(|| lines.collect(), || Value::Null)?;
            }
        }
        Ok(Done::All)
    }
}

fn text(dataset: &str, found: &SuggestExamplesResponse) -> String {
    if found.unlabelled_count == 0 {
        return format!("{dataset} has no unlabelled images; `graft import {dataset} PATH --unlabelled` adds some\n");
    }
    let row =
        |one: &Suggestion| vec![one.id.clone(), format!("{:.3}", one.margin), one.reason.clone(), one.hash.clone()];
    let rows: Vec<_> = found.suggestions.iter().map(row).collect();
    let SuggestExamplesResponse { head, unlabelled_count, examined_count, .. } = found;
    table(&["id", "margin", "because", "hash"], &rows)
        + &format!("{} of {unlabelled_count} unlabelled; {examined_count} shown to {head}\n", rows.len())
}

fn json(found: &SuggestExamplesResponse) -> Value {
    let one = |one: &Suggestion| {
        let said = one.predictions.iter().map(|p| json!({ "label": p.label, "probability": p.probability }));
        json!({
            "id": one.id, "hash": one.hash, "margin": one.margin, "reason": one.reason,
            "predictions": said.collect::<Vec<_>>(),
        })
    };
    json!({
        "head": found.head, "unlabelled": found.unlabelled_count, "examined": found.examined_count,
        "suggestions": found.suggestions.iter().map(one).collect::<Vec<_>>(),
    })
}
