//! `graft dataset export`: the embeddings of a dataset as files.
//!
//! # Layout
//! - Here: the stream of rows. [`parquet`](mod@parquet), [`npy`]: the files.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{ArgGroup, Args, ValueEnum};
use graft_client::{
    Graft,
    proto::{
        ExportEmbeddingsRequest, ExportEmbeddingsResponse, ExportedDataset, ExportedRows, Split,
        export_embeddings_response::Message,
    },
};
use serde_json::json;
use tonic::Streaming;

use crate::{Done, interrupt::unless_interrupted, output::Output, progress::Progress};

mod npy;
mod parquet;

/// Write the embeddings of a dataset with their labels and splits.
#[derive(Args)]
#[command(group = ArgGroup::new("file").required(true).multiple(true))]
pub struct Export {
    /// The dataset.
    name: String,
    /// Write Parquet: columns `id`, `hash`, `label` (of a multi-label dataset `labels`, a list), `split` and `embedding`.
    #[arg(long, value_name = "FILE", group = "file")]
    parquet: Option<PathBuf>,
    /// Write NumPy's `.npy`, float32 [rows, dimension], and beside it a `.labels.csv` with a line a row.
    #[arg(long, value_name = "FILE", group = "file")]
    npy: Option<PathBuf>,
    /// The dataset as this snapshot has it; as it is now unless told.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    snapshot: String,
    /// Only this split.
    #[arg(long)]
    split: Option<Only>,
}

/// A split.
#[derive(Clone, Copy, ValueEnum)]
enum Only {
    /// What is fitted on.
    Train,
    /// What hyper-parameters are chosen on.
    Validation,
    /// What is measured on.
    Test,
}

/// A file that rows are written to.
trait Sink {
    /// Write rows.
    fn write(&mut self, rows: &ExportedRows) -> Result<()>;

    /// Put the whole file in its place. Gives what was written where.
    fn put(self: Box<Self>) -> Result<Vec<PathBuf>>;
}

impl Export {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let (dataset, files) = unless_interrupted("nothing was written", self.write(graft)).await?;
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let ExportedDataset { name, row_count, dimension, space, .. } = &dataset;
        let text = || format!("wrote {row_count} rows of {name} to {}", files.join(" and "));
        let json = || json!({ "written": files, "rows": row_count, "dimension": dimension, "space": space });
        output.show(text, json)?;
        Ok(Done::All)
    }

    async fn write(self, graft: &Graft) -> Result<(ExportedDataset, Vec<PathBuf>)> {
        let split = match self.split {
            None => Split::Unspecified,
            Some(Only::Train) => Split::Train,
            Some(Only::Validation) => Split::Validation,
            Some(Only::Test) => Split::Test,
        };
        let request = ExportEmbeddingsRequest { dataset: self.name, snapshot: self.snapshot, split: split as i32 };
        let answer = graft.trainer.datasets().export_embeddings(request).await;
        let mut rows = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
        let Some(Message::Dataset(dataset)) = next(graft, &mut rows).await? else {
            bail!("the trainer described no dataset");
        };
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        if let Some(file) = &self.parquet {
            sinks.push(Box::new(parquet::Parquet::new(file, &dataset)?));
        }
        if let Some(file) = &self.npy {
            sinks.push(Box::new(npy::Npy::new(file, &dataset)?));
        }
        let mut progress = Progress::new(Some(dataset.row_count), "embeddings");
        let mut count = 0;
        while let Some(message) = next(graft, &mut rows).await? {
            let Message::Rows(rows) = message else { bail!("the trainer described the dataset twice") };
            let (found, expected) = (rows.embeddings.len(), 4 * dataset.dimension as usize * rows.examples.len());
            ensure!(found == expected, "the trainer sent {found} bytes of embeddings, where {expected} are expected");
            sinks.iter_mut().try_for_each(|sink| sink.write(&rows))?;
            count += rows.examples.len() as u64;
            rows.examples.iter().for_each(|_| progress.advance());
        }
        progress.clear();
        ensure!(count == dataset.row_count, "the trainer sent {count} of {} rows; try again", dataset.row_count);
        let mut files = Vec::new();
        for sink in sinks {
            files.extend(sink.put()?);
        }
        Ok((dataset, files))
    }
}

async fn next(graft: &Graft, rows: &mut Streaming<ExportEmbeddingsResponse>) -> Result<Option<Message>> {
    let answer = rows.message().await.map_err(|status| graft.trainer.error(status))?;
    answer.map(|answer| answer.message.context("an empty answer of the trainer")).transpose()
}

/// A split's name in files.
fn split_name(split: Split) -> &'static str {
    match split {
        Split::Validation => "validation",
        Split::Test => "test",
        Split::Unlabelled => "unlabelled",
        Split::Train | Split::Unspecified => "train",
    }
}
