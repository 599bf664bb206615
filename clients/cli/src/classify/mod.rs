//! `graft classify`: images or rows of pixels, as any gRPC client would, by one head or by many.
//!
//! # Layout
//! - [`place`]: where images are. [`input`]: what is read there. [`stream`](mod@stream): to the trainer and back.
//! - [`line`](mod@line): what came of an input. [`show`]: as a table, JSON, JSON lines or CSV.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgGroup, Args};
use graft_client::{
    Graft,
    proto::{ClassifyOptions, EveryHead},
};

use self::{
    input::Origin,
    show::{Expected, Show},
    stream::classify,
};
use crate::{Done, ended::usage, output::Output};

mod input;
mod line;
mod place;
mod show;
mod stream;

/// Classes named unless told: of one head, of each of many, and in the rows of a file.
const USUAL_TOP_K: u32 = 3;
const USUAL_TOP_K_OF_MANY: u32 = 1;
const USUAL_TOP_K_OF_CSV: u32 = 1;

/// Classify images, or rows of pixels.
///
/// An input that cannot be classified says why in its place, and the rest goes on; the exit code is 4 then.
#[derive(Args)]
#[command(group(ArgGroup::new("many").args(["heads", "every_head_of"])))]
pub struct Classify {
    /// The head: NAME for its newest version, NAME@VERSION or NAME@ALIAS. Left out where --head or --every-head-of name heads.
    #[arg(required_unless_present = "many")]
    head: Option<String>,
    /// Image files, folders (with all that is below them), patterns such as 'photos/*.jpg', URIs that the extractor may fetch (its
    /// --image-uri says which), or - for an image on standard input.
    #[arg(value_name = "PLACE", required_unless_present_any = ["rows", "files_from", "many"])]
    files: Vec<PathBuf>,
    /// Take the places from this file, or from standard input (-), one a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "rows"])]
    files_from: Option<PathBuf>,
    /// One of several heads that each classify every input; it is embedded once. Give it several times.
    #[arg(long = "head", value_name = "HEAD")]
    heads: Vec<String>,
    /// Every head of this backbone, or of an embedding space NAME@HASH.
    #[arg(long, value_name = "BACKBONE")]
    every_head_of: Option<String>,
    /// With --every-head-of: the version of each head that has this alias; the newest unless told.
    #[arg(long, value_name = "ALIAS", requires = "every_head_of")]
    alias: Option<String>,
    /// Rows of pixels instead: a .csv or .csv.gz file as for import; its labels are shown beside the predictions.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    rows: Option<PathBuf>,
    /// The first N rows alone.
    #[arg(long, value_name = "N", requires = "rows")]
    limit: Option<usize>,
    /// Classes to name for each, most probable first; 3 unless told, and 1 of each of many heads and in CSV.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    top_k: Option<u32>,
    /// What keeps requests for NAME@ALIAS on one side of its canary, such as the id of a user; each is drawn by chance unless told.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KEY")]
    sticky_key: String,
    /// Say `unknown` where the head is not sure enough for an answer; its report has the threshold.
    #[arg(long)]
    unknown: bool,
}

impl Classify {
    pub async fn run(mut self, graft: &Graft, output: Output) -> Result<Done> {
        let many = !self.heads.is_empty() || self.every_head_of.is_some();
        if many && let Some(place) = self.head.take() {
            // No head is left to name: what stands in its place is an input.
            self.files.insert(0, place.into());
        }
        let top_k = self.top_k.unwrap_or(match output {
            Output::Csv => USUAL_TOP_K_OF_CSV,
            _ if many => USUAL_TOP_K_OF_MANY,
            _ => USUAL_TOP_K,
        });
        let show = Show::new(output, Expected { labelled: self.rows.is_some(), many, top_k })?;
        let options = self.options(top_k);
        let whole = classify(graft, options, self.origin()?, show).await?;
        Ok(if whole { Done::All } else { Done::Some })
    }

    fn options(&self, top_k: u32) -> ClassifyOptions {
        let alias = self.alias.clone().unwrap_or_default();
        ClassifyOptions {
            head: self.head.clone().unwrap_or_default(),
            heads: self.heads.clone(),
            every_head: self.every_head_of.clone().map(|space| EveryHead { space, alias }),
            top_k,
            detect_unknown: self.unknown,
            sticky_key: self.sticky_key.clone(),
        }
    }

    fn origin(self) -> Result<Origin> {
        match (self.rows, self.files_from) {
            (Some(_), _) | (_, Some(_)) if !self.files.is_empty() => {
                Err(usage("places, --files-from or --rows: one of them is accepted"))
            }
            (Some(rows), _) => Ok(Origin::Rows(rows, self.limit.unwrap_or(usize::MAX))),
            (_, Some(list)) => Ok(Origin::Listed(list)),
            (None, None) if self.files.is_empty() => {
                Err(usage("nothing to classify; places, --files-from or --rows name it"))
            }
            (None, None) => Ok(Origin::Named(self.files)),
        }
    }
}
