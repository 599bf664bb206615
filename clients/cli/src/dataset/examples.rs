//! `graft dataset examples`, `relabel`, `remove`.

use anyhow::{Result, bail};
use clap::Args;
use graft_client::{
    Graft,
    proto::{
        EditOutcome, ExampleKey, ListExamplesRequest, RelabelExamplesRequest, Relabelling, RemoveExamplesRequest,
        Split, StoredExample, example_key,
    },
};
use serde_json::{Value, json};

use crate::{
    Done,
    import::SplitName,
    output::{Output, table},
    pages::{Listed, pages},
};

/// Entries of one call, at the most.
const ENTRIES: usize = 1000;

/// List examples.
#[derive(Args)]
pub struct List {
    /// The dataset.
    name: String,
    /// Those with this label.
    #[arg(long, default_value = "", hide_default_value = true)]
    label: String,
    /// Those of this split.
    #[arg(long, value_enum)]
    split: Option<SplitName>,
    /// Those that wait for a label.
    #[arg(long, conflicts_with_all = ["split", "label"])]
    unlabelled: bool,
    /// Images that came under several ids; each is held once.
    #[arg(long)]
    duplicates: bool,
    /// Images that came with several labels, of which the first counts.
    #[arg(long)]
    conflicts: bool,
    /// The most to list.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

/// Which examples are meant.
#[derive(Args)]
struct Keys {
    /// The dataset.
    name: String,
    /// The ids that the examples were imported under, such as paths.
    #[arg(required = true)]
    examples: Vec<String>,
    /// What is given are hashes, as `graft dataset examples` shows them.
    #[arg(long)]
    by_hash: bool,
}

/// Give examples other labels.
#[derive(Args)]
pub struct Relabel {
    #[command(flatten)]
    keys: Keys,
    /// The label; in a multi-label dataset it may be given several times, or not at all.
    #[arg(long)]
    label: Vec<String>,
}

/// Take examples out.
#[derive(Args)]
pub struct Remove {
    #[command(flatten)]
    keys: Keys,
}

impl List {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let request = ListExamplesRequest {
            dataset: self.name,
            label: self.label,
            split: match self.unlabelled {
                true => Split::Unlabelled,
                false => self.split.map_or(Split::Unspecified, Split::from),
            } as i32,
            duplicates: self.duplicates,
            conflicts: self.conflicts,
            ..Default::default()
        };
        let page = async |page_size, page_token| {
            let request = ListExamplesRequest { page_size, page_token, ..request.clone() };
            let answer = graft.trainer.datasets().list_examples(request).await;
            let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
            Ok((page.examples, page.next_page_token))
        };
        let Listed { entries: found, more } = pages(self.limit, page).await?;
        let note = if more { format!("the first {}; --limit lists more\n", found.len()) } else { String::new() };
        output.show(|| text(&found) + &note, || found.iter().map(describe).collect())?;
        Ok(Done::All)
    }
}

impl Keys {
    fn keys(&self) -> impl Iterator<Item = ExampleKey> {
        self.examples.iter().map(|example| {
            let key = if self.by_hash { example_key::Key::Hash } else { example_key::Key::Id };
            ExampleKey { key: Some(key(example.clone())) }
        })
    }

    /// Say what became of each entry; `done` is the word for it.
    fn show(&self, outcomes: &[EditOutcome], done: &str, output: Output) -> Result<Done> {
        if outcomes.len() != self.examples.len() {
            bail!("the trainer gave {} outcomes for {} entries", outcomes.len(), self.examples.len());
        }
        let count: u64 = outcomes.iter().map(|outcome| u64::from(outcome.examples)).sum();
        let failed: Vec<(&String, &str)> = self
            .examples
            .iter()
            .zip(outcomes)
            .filter_map(|(example, outcome)| Some((example, outcome.error.as_ref()?.message.as_str())))
            .collect();
        let text = || {
            let lines = failed.iter().map(|(example, reason)| format!("  {example}: {reason}\n"));
            format!("{}: {done} {count}, failed {}\n", self.name, failed.len()) + &lines.collect::<String>()
        };
        let failures = || failed.iter().map(|(example, reason)| json!({ "example": example, "reason": reason }));
        output
            .show(text, || json!({ "dataset": self.name, (done): count, "failed": failures().collect::<Vec<_>>() }))?;
        Ok(if failed.is_empty() { Done::All } else { Done::Some })
    }
}

impl Relabel {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let labels = &self.label;
        let entries = self.keys.keys().map(|key| Relabelling { example: Some(key), labels: labels.clone() });
        let entries: Vec<Relabelling> = entries.collect();
        let mut outcomes = Vec::new();
        for chunk in entries.chunks(ENTRIES) {
            let request = RelabelExamplesRequest { dataset: self.keys.name.clone(), relabellings: chunk.to_vec() };
            let answer = graft.trainer.datasets().relabel_examples(request).await;
            outcomes.extend(answer.map_err(|status| graft.trainer.error(status))?.into_inner().outcomes);
        }
        self.keys.show(&outcomes, "relabelled", output)
    }
}

impl Remove {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let entries: Vec<ExampleKey> = self.keys.keys().collect();
        let mut outcomes = Vec::new();
        for chunk in entries.chunks(ENTRIES) {
            let request = RemoveExamplesRequest { dataset: self.keys.name.clone(), examples: chunk.to_vec() };
            let answer = graft.trainer.datasets().remove_examples(request).await;
            outcomes.extend(answer.map_err(|status| graft.trainer.error(status))?.into_inner().outcomes);
        }
        self.keys.show(&outcomes, "removed", output)
    }
}

/// A split as people write it.
pub fn split(example: &StoredExample) -> &'static str {
    match example.split() {
        Split::Unspecified => "",
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
        Split::Unlabelled => "unlabelled",
    }
}

/// Examples, for people.
pub fn text(examples: &[StoredExample]) -> String {
    let again = |example: &StoredExample| {
        let told = example.appearances.iter().map(|again| match again.conflict {
            true => format!("{} as {}", again.id, again.labels.join(" + ")),
            false => again.id.clone(),
        });
        told.collect::<Vec<_>>().join(", ")
    };
    let row = |example: &StoredExample| {
        let labels = example.labels.join(" + ");
        vec![example.id.clone(), labels, split(example).to_owned(), example.hash.clone(), again(example)]
    };
    table(&["id", "label", "split", "hash", "came also as"], &examples.iter().map(row).collect::<Vec<_>>())
}

/// An example, for programs.
pub fn describe(example: &StoredExample) -> Value {
    let appearances: Vec<Value> = example
        .appearances
        .iter()
        .map(|again| json!({ "id": again.id, "labels": again.labels, "conflict": again.conflict }))
        .collect();
    json!({
        "id": example.id, "hash": example.hash, "labels": example.labels, "split": split(example),
        "appearances": appearances,
    })
}
