//! `graft report`: the evidence of a head, for the person who decides whether to use it.
//!
//! # Layout
//! - [`verdict`]: what the evidence comes to, in words.
//! - [`summary`]: a terminal's worth of it. [`json`](mod@json): all of it, for programs. [`page`]: all of it, as one HTML file.
//! - [`images`]: small pictures of examples, where their files are at hand.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use graft_client::{
    Graft,
    proto::{ClassReport, GetHeadRequest, Head},
};

use crate::{
    Done, heads,
    output::{Output, table},
    whole::WholeFile,
};
use images::Images;

mod images;
pub mod json;
mod page;
mod summary;
mod verdict;

pub use summary::short;

/// Show how good a classifier is, how sure that is, and what speaks against it.
#[derive(Args)]
pub struct Report {
    /// The head: NAME for its newest version, NAME@VERSION, or NAME@ALIAS.
    head: String,
    /// Write one page with plots to FILE. It holds everything itself: it can be mailed, and needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write one JSON document to standard output, as `--output json` does.
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// Where the images are: the folder that was imported. The page then shows small pictures of mistakes.
    #[arg(long, value_name = "DIR", requires = "html")]
    images: Option<PathBuf>,
}

impl Report {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let answer = graft.trainer.heads().get_head(GetHeadRequest { name: self.head.clone() }).await;
        let head = answer.map_err(|status| graft.trainer.error(status))?.into_inner().head.context("no head")?;
        match &self.html {
            Some(file) => write_page(&head, file, self.images, output)?,
            None if self.json => Output::Json.show(String::new, || heads::json(&head))?,
            None => output.show(|| summary::text(&head), || heads::json(&head))?,
        }
        Ok(Done::All)
    }
}

fn write_page(head: &Head, file: &Path, folder: Option<PathBuf>, output: Output) -> Result<()> {
    let images = Images::open(folder)?;
    let page = page::page(head, &images);
    let mut whole = WholeFile::new(file)?;
    whole.write_all(page.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    whole.put()?;
    let shown = file.display().to_string();
    output.show(|| format!("wrote {shown}"), || serde_json::json!({ "written": shown }))
}

/// Each label of a head that gives several, with its own confusion matrix.
pub fn labels(classes: &[ClassReport]) -> String {
    let row = |class: &ClassReport| {
        let counts = class.counts.unwrap_or_default();
        let figures = [class.precision, class.recall, class.f1].map(|figure| format!("{figure:.3}"));
        let precision = class.average_precision.map_or("-".to_owned(), |figure| format!("{figure:.3}"));
        let threshold = class.threshold.map_or("-".to_owned(), |figure| format!("{figure:.3}"));
        let counts = [counts.true_positives, counts.false_positives, counts.false_negatives, counts.true_negatives];
        let counts = counts.map(|count| count.to_string()).to_vec();
        let train = vec![precision, threshold, class.train_count.to_string()];
        [vec![summary::short(&class.label)], figures.to_vec(), train, counts].concat()
    };
    let headings = [
        "label",
        "precision",
        "recall",
        "F1",
        "avg. prec.",
        "from",
        "train",
        "found",
        "wrong",
        "missed",
        "rightly not",
    ];
    table(&headings, &classes.iter().map(row).collect::<Vec<_>>())
}

/// What stands for a label that is empty: of a head that gives several, an answer is about one label alone.
fn or_none(label: &str) -> &str {
    if label.is_empty() { "–" } else { label }
}

/// A part as a percentage, as precise as is of use.
pub fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// A count with its thousands set apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What an example is called: its id, or where that is not known the beginning of its hash.
pub fn name(id: &str, hash: &str) -> String {
    if id.is_empty() { hash.chars().take(12).collect() } else { id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([count(7), count(1000), count(12_345_678)], ["7", "1,000", "12,345,678"]);
        assert_eq!(percent(0.8765), "87.6%");
        assert_eq!(name("", "0123456789abcdef"), "0123456789ab");
    }
}
