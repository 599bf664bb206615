//! `graft import`: labelled images from files into a dataset.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
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
        self.ensure_dataset(graft).await?;
        let tally = send(graft, &self.dataset, source).await?;
        let done = if tally.rejected.is_empty() { Done::All } else { Done::Some };
        output.show(|| tally.text(&self.dataset), || tally.json(&self.dataset))?;
        Ok(done)
    }

    async fn ensure_dataset(&self, graft: &Graft) -> Result<()> {
        let mut datasets = graft.trainer.datasets();
        let asked = datasets.get_dataset(GetDatasetRequest { name: self.dataset.clone() }).await;
        match asked.map_err(|status| graft.trainer.error(status)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => {
                let request = CreateDatasetRequest { name: self.dataset.clone(), backbone: self.backbone.clone() };
                datasets.create_dataset(request).await.map_err(|status| graft.trainer.error(status))?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
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

async fn send(graft: &Graft, dataset: &str, source: Source) -> Result<Tally> {
    let mut progress = Progress::new(source.total());
    let (examples, receiver) = mpsc::channel(AHEAD);
    let read = Arc::new(AtomicU64::new(0));
    let counter = read.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut rejected = Vec::new();
        for piece in source {
            match piece {
                Ok(example) => {
                    counter.fetch_add(1, Ordering::Relaxed);
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
    let mut told = 0;
    let outcome = import::import(&graft.trainer, dataset, ReceiverStream::new(receiver), |outcome| {
        told += 1;
        tally.add(outcome);
        progress.at(told, "importing");
    })
    .await;
    progress.clear();
    if outcome.is_err() && tally.stored > 0 {
        eprintln!(
            "{} examples were stored before the import broke off; import again to go on from there",
            tally.stored
        );
    }
    outcome?;
    let unreadable = reading.await.context("reading the input broke down")?;
    if told < read.load(Ordering::Relaxed) {
        return Err(graft.trainer.incomplete().into());
    }
    tally.rejected.extend(unreadable);
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
