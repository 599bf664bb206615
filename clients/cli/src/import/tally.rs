//! What became of the examples of an import.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use graft_client::proto::{ExampleOutcome, Outcome};
use serde_json::{Value, json};

use super::piece::Rejected;

/// Rejected examples that are shown on a terminal.
const SHOWN: usize = 20;
/// Rejected examples that are kept; all are counted, and all are in the file of `--rejects`.
const KEPT: usize = 1000;

/// Counts of outcomes.
#[derive(Default)]
pub struct Tally {
    /// New, and on disk.
    pub stored: u64,
    /// On disk before.
    pub known: u64,
    rejected: u64,
    kept: Vec<Rejected>,
    /// Where every rejected example is written to.
    file: Option<BufWriter<File>>,
}

impl Tally {
    /// With a file for all that is rejected.
    pub fn new(rejects: Option<&Path>) -> Result<Tally> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("--rejects: cannot write {}", path.display()));
        Ok(Tally { file: rejects.map(create).transpose()?.map(BufWriter::new), ..Tally::default() })
    }

    /// Whether something was rejected.
    pub fn has_rejected(&self) -> bool {
        self.rejected > 0
    }

    /// Count what the trainer said.
    pub fn add(&mut self, outcome: ExampleOutcome) -> Result<()> {
        match outcome.outcome() {
            Outcome::Stored => self.stored += 1,
            Outcome::AlreadyKnown => self.known += 1,
            _ => {
                let reason = outcome.error.map(|error| error.message).unwrap_or_default();
                self.reject(Rejected { place: outcome.id, reason })?;
            }
        }
        Ok(())
    }

    /// Count what is no example.
    pub fn reject(&mut self, bad: Rejected) -> Result<()> {
        self.rejected += 1;
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", describe(&bad)).context("--rejects: the disk may be full")?;
        }
        if self.kept.len() < KEPT {
            self.kept.push(bad);
        }
        Ok(())
    }

    /// Nothing more comes.
    pub fn finish(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush).context("--rejects: the disk may be full")
    }

    /// For people.
    pub fn text(&self, dataset: &str) -> String {
        let Tally { stored, known, rejected, kept, .. } = self;
        let mut text = format!("{dataset}: stored {stored}, already known {known}, rejected {rejected}\n");
        for bad in kept.iter().take(SHOWN) {
            text += &format!("  {}: {}\n", bad.place, bad.reason);
        }
        if *rejected > SHOWN as u64 {
            text += &format!("  and {} more; --rejects FILE lists all\n", rejected - SHOWN as u64);
        }
        text
    }

    /// For programs.
    pub fn json(&self, dataset: &str) -> Value {
        json!({
            "dataset": dataset, "stored": self.stored, "already_known": self.known, "rejected_count": self.rejected,
            "rejected": self.kept.iter().map(describe).collect::<Vec<_>>(),
        })
    }
}

fn describe(bad: &Rejected) -> Value {
    json!({ "place": bad.place, "reason": bad.reason })
}
