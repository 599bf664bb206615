//! `graft import`: labelled images from files into a dataset.
//!
//! # Layout
//! - [`format`](mod@format) knows the forms of input and opens them.
//! - [`folder`], [`manifest`], [`rows`], [`arrays`], [`parquet`], [`webdataset`], [`zip`] read one form each, an example at a
//!   time; [`layout`] is what folders say of images, [`text`] opens what may be gzipped.
//! - [`views`] is what is said of further views of an image.
//! - [`piece`] is what they find; [`send`](mod@send) brings it to the trainer; [`tally`] counts what became of it.

use std::{
    iter::Peekable,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use graft_client::{
    Graft,
    proto::{CreateDatasetRequest, Dataset, GetDatasetRequest, ImportOptions, Split},
};

use tokio::task::spawn_blocking;

use self::{
    format::{Format, Input, Reading},
    manifest::Columns,
    piece::Reader,
    send::{BROKE_DOWN, send},
    tally::Tally,
    views::Views,
};
use crate::{Done, output::Output};

pub mod arrays;
pub mod folder;
pub mod format;
pub mod layout;
pub mod manifest;
pub mod parquet;
pub mod piece;
pub mod rows;
pub mod send;
pub mod tally;
pub mod text;
pub mod views;
pub mod webdataset;
pub mod zip;

/// What separates labels in one text, unless told.
const SEPARATOR: &str = ";";

/// Add labelled images to a dataset.
///
/// Import again what was interrupted: images that are stored are recognised and not embedded again. Each example has an
/// outcome; what cannot be read is named, and the rest goes on.
#[derive(Args)]
pub struct Import {
    /// The dataset; made if it is not there.
    dataset: String,
    /// A folder with a sub-folder a class (train, val and test may be above), a zip of one, a table (.csv, .tsv, .jsonl)
    /// of paths or URIs with labels, rows of pixels (.csv), arrays (IDX, .npy), Parquet with an image column, a tar in the
    /// WebDataset form, or a folder of such files. Gzip is fine.
    path: PathBuf,
    /// The form of the input; known by its first bytes and its name unless told.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What the images are used for; as the input says, or chosen by their content, unless told.
    #[arg(long, value_enum)]
    split: Option<SplitName>,
    /// The images have no labels yet; what the input says of labels and splits is left out, and a folder need have no
    /// sub-folders. `graft suggest` tells which to label first.
    #[arg(long, conflicts_with_all = ["split", "split_column", "label_column", "labels", "label_separator"])]
    unlabelled: bool,
    /// The column of the paths or URIs (of the images, in Parquet); `path`, `file_name`, `image`, `url` and the like unless told.
    #[arg(long, value_name = "NAME")]
    path_column: Option<String>,
    /// The column of the labels (the key, in a tar's JSON); `label`, `class`, `category` and the like unless told.
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// The column of the splits; `split` and the like, if there is one, unless told.
    #[arg(long, value_name = "NAME")]
    split_column: Option<String>,
    /// The labels of arrays; the file beside the images whose name says so unless told.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Make the dataset one whose images have several labels, or none.
    #[arg(long)]
    multi_label: bool,
    /// What separates the labels in one text, in a multi-label dataset; `;` unless told.
    #[arg(long, value_name = "TEXT")]
    label_separator: Option<String>,
    /// The backbone of the dataset, if it is made now; the extractor's default one unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    backbone: String,
    #[command(flatten)]
    views: Views,
    /// Write everything that is rejected to this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Open an input that holds at least one piece.
fn open(reading: &Reading, path: &Path) -> Result<(Peekable<Reader>, Option<u64>)> {
    let Input { reader, total } = reading.open(path)?;
    let mut reader = reader.peekable();
    if reader.peek().is_none() {
        bail!("{} holds no examples; nothing was imported", path.display());
    }
    Ok((reader, total))
}

/// What images are used for.
#[derive(Clone, Copy, ValueEnum)]
pub enum SplitName {
    /// To fit on.
    Train,
    /// To choose hyper-parameters on.
    Validation,
    /// Held out, to measure the classifier on.
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Split {
        match name {
            SplitName::Train => Split::Train,
            SplitName::Validation => Split::Validation,
            SplitName::Test => Split::Test,
        }
    }
}

impl Import {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let there = self.existing(graft).await?;
        let multi_label = there.as_ref().map_or(self.multi_label, |dataset| dataset.multi_label);
        let (reading, path) = (self.reading(multi_label), self.path.clone());
        let (reader, total) = spawn_blocking(move || open(&reading, &path)).await.context(BROKE_DOWN)??;
        let mut tally = Tally::new(self.rejects.as_deref())?;
        if there.is_none() {
            let (name, backbone) = (self.dataset.clone(), self.backbone.clone());
            let request = CreateDatasetRequest { name, backbone, multi_label, augmentation: None };
            let created = graft.trainer.datasets().create_dataset(request).await;
            created.map_err(|status| graft.trainer.error(status))?;
        }
        let options = ImportOptions { dataset: self.dataset.clone(), augmentation: self.views.augmentation() };
        send(graft, options, reader, total, &mut tally).await?;
        output.show(|| tally.text(&self.dataset), || tally.json(&self.dataset))?;
        Ok(if tally.has_rejected() { Done::Some } else { Done::All })
    }

    /// How the input is to be read.
    fn reading(&self, multi_label: bool) -> Reading {
        let separator = self.label_separator.clone().unwrap_or_else(|| SEPARATOR.to_owned());
        Reading {
            format: self.format,
            split: if self.unlabelled { Some(Split::Unlabelled) } else { self.split.map(Split::from) },
            columns: Columns {
                path: self.path_column.clone(),
                label: self.label_column.clone(),
                split: self.split_column.clone(),
                unlabelled: self.unlabelled,
            },
            labels: self.labels.clone(),
            separator: multi_label.then_some(separator),
        }
    }

    /// The dataset, if it is there; it keeps its backbone and its kind.
    async fn existing(&self, graft: &Graft) -> Result<Option<Dataset>> {
        let trainer = &graft.trainer;
        let name = &self.dataset;
        let asked = trainer.datasets().get_dataset(GetDatasetRequest { name: name.clone() }).await;
        let there = match asked.map_err(|status| trainer.error(status)) {
            Ok(answer) => answer.into_inner().dataset.unwrap_or_default(),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !self.backbone.is_empty() && self.backbone != there.backbone {
            bail!(
                "--backbone: the dataset `{name}` holds embeddings of `{}`, not of `{}`; leave the flag out, or import into \
                 another dataset",
                there.backbone,
                self.backbone
            );
        }
        if self.multi_label && !there.multi_label {
            bail!("--multi-label: the dataset `{name}` has one label an image; import into another dataset");
        }
        Ok(Some(there))
    }
}
