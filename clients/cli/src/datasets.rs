//! `graft datasets`: list, show or delete datasets.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use graft_client::{
    Graft,
    proto::{Dataset, DeleteDatasetRequest, GetDatasetRequest, ListDatasetsRequest},
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
};

/// List, show or delete datasets.
#[derive(Args)]
pub struct Datasets {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Every dataset.
    List,
    /// One dataset with its classes.
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a dataset with its examples. Heads fitted on it stay.
    Delete {
        /// Its name.
        name: String,
    },
}

impl Datasets {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let mut client = graft.trainer.datasets();
        match self.command.unwrap_or(Command::List) {
            Command::List => {
                let datasets = all(graft).await?;
                output.show(|| list(&datasets), || datasets.iter().map(json).collect())?;
            }
            Command::Show { name } => {
                let answer =
                    client.get_dataset(GetDatasetRequest { name }).await.map_err(|s| graft.trainer.error(s))?;
                let dataset = answer.into_inner().dataset.context("no dataset")?;
                output.show(|| text(&dataset), || json(&dataset))?;
            }
            Command::Delete { name } => {
                let request = DeleteDatasetRequest { name: name.clone() };
                client.delete_dataset(request).await.map_err(|s| graft.trainer.error(s))?;
                output.show(|| format!("deleted {name}"), || json!({ "deleted": name }))?;
            }
        }
        Ok(Done::All)
    }
}

async fn all(graft: &Graft) -> Result<Vec<Dataset>> {
    let (mut datasets, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDatasetsRequest { page_size: 1000, page_token };
        let answer = graft.trainer.datasets().list_datasets(request).await;
        let answer = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        datasets.extend(answer.datasets);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(datasets);
        }
    }
}

fn list(datasets: &[Dataset]) -> String {
    let row =
        |d: &Dataset| vec![d.name.clone(), d.classes.len().to_string(), d.example_count.to_string(), d.space.clone()];
    table(&["dataset", "classes", "examples", "space"], &datasets.iter().map(row).collect::<Vec<_>>())
}

fn text(dataset: &Dataset) -> String {
    let rows: Vec<_> = dataset
        .classes
        .iter()
        .map(|c| [vec![c.label.clone()], [c.train, c.validation, c.test].map(|n| n.to_string()).to_vec()].concat())
        .collect();
    let head = format!("{}: {} examples in {}\n\n", dataset.name, dataset.example_count, dataset.space);
    head + &table(&["class", "train", "validation", "test"], &rows)
}

fn json(dataset: &Dataset) -> Value {
    let classes: Vec<Value> = dataset
        .classes
        .iter()
        .map(|c| json!({ "label": c.label, "train": c.train, "validation": c.validation, "test": c.test }))
        .collect();
    json!({
        "name": dataset.name, "backbone": dataset.backbone, "space": dataset.space, "dimension": dataset.dimension,
        "examples": dataset.example_count, "classes": classes,
    })
}
