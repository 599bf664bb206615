//! `graft classify`: image files or rows of pixels, as any gRPC client would, by one head or by many.
//!
//! # Layout
//! - `show`: what came of it, as a table and as JSON.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args};
use futures::TryStreamExt;
use graft_client::{
    Graft,
    classify::{Classified, classify_many},
    proto::{
        ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyResponse, EveryHead, Image, Split, classify_input,
        image::Source,
    },
};

use crate::{
    Done,
    import::{piece::read_image, rows::Rows},
    output::Output,
    progress::Progress,
};

mod show;

/// Classes named unless told: of one head, and of each of many.
const USUAL_TOP_K: u32 = 3;
const USUAL_TOP_K_OF_MANY: u32 = 1;

/// Classify image files or rows of pixels.
#[derive(Args)]
#[command(group(ArgGroup::new("many").args(["heads", "every_head_of"])))]
pub struct Classify {
    /// The head: NAME for its newest version, NAME@VERSION or NAME@ALIAS. Left out where --head or --every-head-of name heads.
    #[arg(required_unless_present_all = ["rows", "many"])]
    head: Option<String>,
    /// Image files.
    #[arg(required_unless_present_any = ["rows", "many"])]
    files: Vec<PathBuf>,
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
    /// Classes to name for each, most probable first; 3 unless told, and 1 of each of many heads.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    top_k: Option<u32>,
    /// What keeps requests for NAME@ALIAS on one side of its canary, such as the id of a user; each is drawn by chance unless told.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KEY")]
    sticky_key: String,
    /// Say `unknown` where the head is not sure enough for an answer; its report has the threshold.
    #[arg(long)]
    unknown: bool,
}

/// One input and what came of it.
struct Line {
    input: String,
    /// What the input's file says that it is.
    label: Option<String>,
    image: Option<Image>,
    result: Result<ClassifyResponse, String>,
}

impl Classify {
    pub async fn run(mut self, graft: &Graft, output: Output) -> Result<Done> {
        let many = !self.heads.is_empty() || self.every_head_of.is_some();
        if many && let Some(file) = self.head.take() {
            // No head is left to name: what stands in its place is an input.
            self.files.insert(0, file.into());
        }
        if self.rows.is_some() && !self.files.is_empty() {
            bail!("files or --rows, not both");
        }
        let usual = if many { USUAL_TOP_K_OF_MANY } else { USUAL_TOP_K };
        let options = ClassifyOptions {
            head: self.head.clone().unwrap_or_default(),
            heads: self.heads.clone(),
            every_head: self
                .every_head_of
                .clone()
                .map(|space| EveryHead { space, alias: self.alias.clone().unwrap_or_default() }),
            top_k: self.top_k.unwrap_or(usual),
            detect_unknown: self.unknown,
            sticky_key: self.sticky_key.clone(),
        };
        let mut lines = self.read()?;
        classify(graft, options, &mut lines).await?;
        output.show(|| show::text(&lines), || lines.iter().map(show::json).collect())?;
        Ok(if lines.iter().all(Line::is_whole) { Done::All } else { Done::Some })
    }

    fn read(self) -> Result<Vec<Line>> {
        let Some(path) = self.rows else {
            return Ok(self.files.iter().map(|path| file(path)).collect());
        };
        let rows = Rows::open(&path, Split::Unspecified)?;
        let lines = rows.take(self.limit.unwrap_or(usize::MAX)).map(|row| match row {
            Ok(row) => Line::new(row.id, Some(row.label), row.image.ok_or_else(|| "no image".to_owned())),
            Err(bad) => Line::new(bad.place, None, Err(bad.reason)),
        });
        Ok(lines.collect())
    }
}

impl Line {
    fn new(input: String, label: Option<String>, image: Result<Image, String>) -> Line {
        let (image, result) = match image {
            Ok(image) => (Some(image), Ok(ClassifyResponse::default())),
            Err(reason) => (None, Err(reason)),
        };
        Line { input, label, image, result }
    }

    /// Whether all heads have answered.
    fn is_whole(&self) -> bool {
        let answered = |found: &ClassifyResponse| found.classifications.iter().all(|one| one.error.is_none());
        self.result.as_ref().is_ok_and(answered)
    }
}

fn file(path: &Path) -> Line {
    let image = read_image(path).map(|bytes| Image { source: Some(Source::Encoded(bytes.into())) });
    Line::new(path.display().to_string(), None, image)
}

async fn classify(graft: &Graft, options: ClassifyOptions, lines: &mut [Line]) -> Result<()> {
    let items: Vec<ClassifyItem> = lines
        .iter_mut()
        .enumerate()
        .filter_map(|(index, line)| {
            let input = ClassifyInput { input: Some(classify_input::Input::Image(line.image.take()?)) };
            Some(ClassifyItem { id: index.to_string(), input: Some(input), ..Default::default() })
        })
        .collect();
    let mut progress = Progress::new(Some(items.len() as u64), "classifying");
    let mut replies = classify_many(&graft.trainer, options, futures::stream::iter(items)).await?;
    while let Some(Classified { id, result }) = replies.try_next().await? {
        let line = id.parse().ok().and_then(|index: usize| lines.get_mut(index)).context("an unknown answer")?;
        line.result = result.map_err(|error| error.message);
        progress.advance();
    }
    progress.clear();
    Ok(())
}
