//! `graft import`: labelled images from files into a dataset.

use std::{iter::Peekable, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use graft_client::{
    Graft, import,
    proto::{CreateDatasetRequest, Example, ExampleOutcome, GetDatasetRequest, Outcome, Split},
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Done, output::Output, progress::Progress};

pub mod folder;
pub mod rows;

/// Examples read ahead of the wire.
const AHEAD: usize = 64;
/// Rejected examples that are shown; all are counted.
const SHOWN: usize = 20;

/// Add labelled images to a dataset.
///
/// Import again what was interrupted: images that are stored are recognised and not embedded again.
#[derive(Args)]
pub struct Import {
    /// The dataset; made if it is not there.
    dataset: String,
    /// A folder with a sub-folder a class, or a .csv or .csv.gz file with a label and the pixels of a square grey image in
    /// each row.
    path: PathBuf,
    /// What the images are used for; chosen by their content unless told.
    #[arg(long, value_enum)]
    split: Option<SplitName>,
    /// The backbone of the dataset, if it is made now; the extractor's default one unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    backbone: String,
}

/// What images are used for.
#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    /// To fit on.
    Train,
    /// To choose hyper-parameters on.
    Validation,
    /// Held out, to measure the classifier on.
    Test,
}

/// An example, or why a piece of the input is none.
pub type Read = Result<Example, Rejected>;

/// A piece of the input that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it is: file, and line if it has lines.
    pub place: String,
    /// What was wrong.
    pub reason: String,
}

#[derive(Default)]
struct Tally {
    stored: u64,
    known: u64,
    rejected: Vec<Rejected>,
}

impl Import {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let split = match self.split {
            None => Split::Unspecified,
            Some(SplitName::Train) => Split::Train,
            Some(SplitName::Validation) => Split::Validation,
            Some(SplitName::Test) => Split::Test,
        };
        let source = Source::open(&self.path, split)?;
        let total = source.total();
        let mut source = source.peekable();
        if source.peek().is_none() {
            bail!("{} holds no examples; nothing was imported", self.path.display());
        }
        self.ensure_dataset(graft).await?;
        let tally = send(graft, &self.dataset, source, total).await?;
        let done = if tally.rejected.is_empty() { Done::All } else { Done::Some };
        output.show(|| tally.text(&self.dataset), || tally.json(&self.dataset))?;
        Ok(done)
    }

    /// Make the dataset if it is not there; one that is there keeps its backbone.
    async fn ensure_dataset(&self, graft: &Graft) -> Result<()> {
        let trainer = &graft.trainer;
        let name = &self.dataset;
        let asked = trainer.read(|| {
            let mut datasets = trainer.datasets();
            async move { datasets.get_dataset(GetDatasetRequest { name: name.clone() }).await }
        });
        let there = match asked.await {
            Ok(answer) => answer.dataset.unwrap_or_default().backbone,
            Err(error) if error.is_not_found() => {
                let request = CreateDatasetRequest { name: name.clone(), backbone: self.backbone.clone() };
                trainer.datasets().create_dataset(request).await.map_err(|status| trainer.error(status))?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !self.backbone.is_empty() && self.backbone != there {
            bail!(
                "--backbone: the dataset `{name}` holds embeddings of `{there}`, not of `{}`; leave the flag out, or import \
                 into another dataset",
                self.backbone
            );
        }
        Ok(())
    }
}

/// Where examples come from.
enum Source {
    Rows(rows::Rows),
    Folder(folder::Folder),
}

impl Source {
    fn open(path: &std::path::Path, split: Split) -> Result<Source> {
        let kind = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_dir() {
            return Ok(Source::Folder(folder::Folder::open(path, split)?));
        }
        Ok(Source::Rows(rows::Rows::open(path, split)?))
    }

    /// How many examples there are, if that is known.
    fn total(&self) -> Option<u64> {
        match self {
            Source::Rows(_) => None,
            Source::Folder(folder) => Some(folder.total()),
        }
    }
}

impl Iterator for Source {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        match self {
            Source::Rows(rows) => rows.next(),
            Source::Folder(folder) => folder.next(),
        }
    }
}

async fn send(graft: &Graft, dataset: &str, source: Peekable<Source>, total: Option<u64>) -> Result<Tally> {
    let mut progress = Progress::new(total, "importing");
    let (examples, receiver) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        let mut rejected = Vec::new();
        for piece in source {
            match piece {
                Ok(example) => {
                    // The call is over: it says why.
                    if examples.blocking_send(example).is_err() {
                        break;
                    }
                }
                Err(bad) => rejected.push(bad),
            }
        }
        rejected
    });
    let mut tally = Tally::default();
    let done = async {
        let mut outcomes = import(&graft.trainer, dataset, ReceiverStream::new(receiver)).await?;
        while let Some(outcome) = outcomes.try_next().await? {
            tally.add(outcome);
            progress.advance();
        }
        Ok::<_, graft_client::Error>(())
    };
    let done = done.await;
    progress.clear();
    if done.is_err() && tally.stored > 0 {
        eprintln!("{} examples were stored before the import broke off; import again to go on", tally.stored);
    }
    done?;
    tally.rejected.extend(reading.await.context("reading the input broke down")?);
    Ok(tally)
}

impl Tally {
    fn add(&mut self, outcome: ExampleOutcome) {
        match outcome.outcome() {
            Outcome::Stored => self.stored += 1,
            Outcome::AlreadyKnown => self.known += 1,
            _ => {
                let reason = outcome.error.map(|error| error.message).unwrap_or_default();
                self.rejected.push(Rejected { place: outcome.id, reason });
            }
        }
    }

    fn text(&self, dataset: &str) -> String {
        let Tally { stored, known, rejected } = self;
        let mut text = format!("{dataset}: stored {stored}, already known {known}, rejected {}\n", rejected.len());
        for bad in rejected.iter().take(SHOWN) {
            text += &format!("  {}: {}\n", bad.place, bad.reason);
        }
        if rejected.len() > SHOWN {
            text += &format!("  and {} more; --output json lists all\n", rejected.len() - SHOWN);
        }
        text
    }

    fn json(&self, dataset: &str) -> serde_json::Value {
        let rejected: Vec<_> =
            self.rejected.iter().map(|bad| json!({ "place": bad.place, "reason": bad.reason })).collect();
        json!({ "dataset": dataset, "stored": self.stored, "already_known": self.known, "rejected": rejected })
    }
}
