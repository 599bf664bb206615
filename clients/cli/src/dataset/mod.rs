//! `graft dataset`: what datasets hold, and changes to it.
//!
//! # Layout
//! - Here: list, show, delete. [`examples`]: list, relabel and remove examples. [`stats`]: what is odd. [`snapshots`]: keep
//!   one as it is. [`export`]: embeddings as files.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use graft_client::{
    Graft,
    proto::{Dataset as Description, DeleteDatasetRequest, GetDatasetRequest, ListDatasetsRequest},
};
use serde_json::{Value, json};

use crate::{
    Done,
    import::views,
    output::{Output, table},
    pages::{ALL, pages},
};

mod examples;
mod export;
mod snapshots;
mod stats;

pub use examples::{describe as example, split};

/// List, show, change, export or delete datasets.
#[derive(Args)]
pub struct Dataset {
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
    /// One dataset with its classes, and what is odd about it: duplicates, and images that came with several labels.
    Stats {
        /// Its name.
        name: String,
    },
    /// The examples of a dataset: ids, labels, splits, hashes.
    Examples(examples::List),
    /// Give examples other labels. Their embeddings and splits stay; those that wait for a label get a split.
    Relabel(examples::Relabel),
    /// Take examples out of a dataset. Snapshots of before keep them.
    Remove(examples::Remove),
    /// Keep a dataset as it is now, for `graft train --snapshot`.
    Snapshot {
        /// The dataset.
        name: String,
    },
    /// The snapshots of a dataset; each training run makes one.
    Snapshots {
        /// The dataset.
        name: String,
    },
    /// Write the embeddings of a dataset with their labels and splits: Parquet, or NumPy's .npy with a table beside it.
    Export(export::Export),
    /// Delete a dataset with its examples. Heads fitted on it stay.
    Delete {
        /// Its name.
        name: String,
    },
}

impl Dataset {
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
            Command::Stats { name } => return stats::run(graft, output, name).await,
            Command::Examples(list) => return list.run(graft, output).await,
            Command::Relabel(relabel) => return relabel.run(graft, output).await,
            Command::Remove(remove) => return remove.run(graft, output).await,
            Command::Snapshot { name } => return snapshots::create(graft, output, name).await,
            Command::Snapshots { name } => return snapshots::list(graft, output, name).await,
            Command::Export(export) => return export.run(graft, output).await,
            Command::Delete { name } => {
                let request = DeleteDatasetRequest { name: name.clone() };
                client.delete_dataset(request).await.map_err(|s| graft.trainer.error(s))?;
                output.show(|| format!("deleted {name}"), || json!({ "deleted": name }))?;
            }
        }
        Ok(Done::All)
    }
}

/// Every dataset.
pub async fn all(graft: &Graft) -> Result<Vec<Description>> {
    let page = async |page_size, page_token| {
        let answer = graft.trainer.datasets().list_datasets(ListDatasetsRequest { page_size, page_token }).await;
        let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        Ok((page.datasets, page.next_page_token))
    };
    Ok(pages(ALL, page).await?.entries)
}

fn list(datasets: &[Description]) -> String {
    let row = |d: &Description| {
        vec![d.name.clone(), d.classes.len().to_string(), d.example_count.to_string(), d.space.clone()]
    };
    table(&["dataset", "classes", "examples", "space"], &datasets.iter().map(row).collect::<Vec<_>>())
}

fn text(dataset: &Description) -> String {
    let rows: Vec<_> = dataset
        .classes
        .iter()
        .map(|c| [vec![c.label.clone()], [c.train, c.validation, c.test].map(|n| n.to_string()).to_vec()].concat())
        .collect();
    let kind = if dataset.multi_label { ", several labels an image" } else { "" };
    let views = dataset.augmentation.as_ref().map(|views| format!("\n{}", views::text(views))).unwrap_or_default();
    let unlabelled = match dataset.unlabelled_count {
        0 => String::new(),
        count => format!("\n{count} more wait for a label"),
    };
    let Description { name, example_count, space, .. } = dataset;
    let head = format!("{name}: {example_count} examples in {space}{kind}{views}{unlabelled}\n\n");
    head + &table(&["class", "train", "validation", "test"], &rows)
}

fn json(dataset: &Description) -> Value {
    let classes: Vec<Value> = dataset
        .classes
        .iter()
        .map(|c| json!({ "label": c.label, "train": c.train, "validation": c.validation, "test": c.test }))
        .collect();
    json!({
        "name": dataset.name, "backbone": dataset.backbone, "space": dataset.space, "dimension": dataset.dimension,
        "examples": dataset.example_count, "unlabelled": dataset.unlabelled_count, "multi_label": dataset.multi_label, "classes": classes,
        "augmentation": views::json(dataset.augmentation.as_ref()),
    })
}
