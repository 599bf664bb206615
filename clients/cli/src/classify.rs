//! `graft classify`: image files or rows of pixels, as any gRPC client would.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use futures::TryStreamExt;
use graft_client::{
    Graft,
    classify::{Classified, classify_many},
    proto::{ClassifyInput, ClassifyItem, ClassifyOptions, Image, Prediction, Split, classify_input, image::Source},
};
use serde_json::{Value, json};

use crate::{
    Done,
    import::{piece::read_image, rows::Rows},
    output::{Output, table},
    progress::Progress,
};

/// Classify image files or rows of pixels.
#[derive(Args)]
pub struct Classify {
    /// The head: NAME for its newest version, NAME@VERSION, or NAME@ALIAS.
    head: String,
    /// Image files.
    #[arg(required_unless_present = "rows")]
    files: Vec<PathBuf>,
    /// Rows of pixels instead: a .csv or .csv.gz file as for import; its labels are shown beside the predictions.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    rows: Option<PathBuf>,
    /// The first N rows alone.
    #[arg(long, value_name = "N", requires = "rows")]
    limit: Option<usize>,
    /// Classes to name for each, most probable first.
    #[arg(long, default_value_t = 3, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    top_k: u32,
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
    /// Whether the head is not sure enough; told only where it was asked for.
    unknown: bool,
    result: Result<Vec<Prediction>, String>,
}

impl Classify {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let options = ClassifyOptions { head: self.head.clone(), top_k: self.top_k, detect_unknown: self.unknown };
        let mut lines = self.read()?;
        classify(graft, options, &mut lines).await?;
        let failed = lines.iter().any(|line| line.result.is_err());
        output.show(|| text(&lines), || lines.iter().map(json).collect())?;
        Ok(if failed { Done::Some } else { Done::All })
    }

    fn read(self) -> Result<Vec<Line>> {
        let Some(path) = self.rows else {
            return Ok(self.files.iter().map(|path| file(path)).collect());
        };
        let rows = Rows::open(&path, Split::Unspecified)?;
        let lines = rows.take(self.limit.unwrap_or(usize::MAX)).map(|row| match row {
            Ok(row) => {
                Line { input: row.id, label: Some(row.label), image: row.image, unknown: false, result: Ok(vec![]) }
            }
            Err(bad) => Line { input: bad.place, label: None, image: None, unknown: false, result: Err(bad.reason) },
        });
        Ok(lines.collect())
    }
}

fn file(path: &std::path::Path) -> Line {
    let input = path.display().to_string();
    match read_image(path) {
        Ok(bytes) => {
            let image = Some(Image { source: Some(Source::Encoded(bytes.into())) });
            Line { input, label: None, image, unknown: false, result: Ok(vec![]) }
        }
        Err(reason) => Line { input, label: None, image: None, unknown: false, result: Err(reason) },
    }
}

async fn classify(graft: &Graft, options: ClassifyOptions, lines: &mut [Line]) -> Result<()> {
    let items: Vec<ClassifyItem> = lines
        .iter_mut()
        .enumerate()
        .filter_map(|(index, line)| {
            let input = ClassifyInput { input: Some(classify_input::Input::Image(line.image.take()?)) };
            Some(ClassifyItem { id: index.to_string(), input: Some(input) })
        })
        .collect();
    let mut progress = Progress::new(Some(items.len() as u64), "classifying");
    let mut replies = classify_many(&graft.trainer, options, futures::stream::iter(items)).await?;
    while let Some(Classified { id, result }) = replies.try_next().await? {
        let line = id.parse().ok().and_then(|index: usize| lines.get_mut(index)).context("an unknown answer")?;
        line.unknown = result.as_ref().is_ok_and(|found| found.unknown);
        line.result = result.map(|found| found.predictions).map_err(|error| error.message);
        progress.advance();
    }
    progress.clear();
    Ok(())
}

fn text(lines: &[Line]) -> String {
    let labelled = lines.iter().any(|line| line.label.is_some());
    let row = |line: &Line| {
        let mut cells = vec![line.input.clone()];
        if labelled {
            cells.push(line.label.clone().unwrap_or_default());
        }
        match &line.result {
            Ok(predictions) => {
                cells.push(if line.unknown { "unknown; perhaps " } else { "" }.to_owned() + &answer(predictions));
            }
            Err(reason) => cells.push(format!("rejected: {reason}")),
        }
        cells
    };
    let headings: &[&str] = if labelled { &["input", "is", "predicted"] } else { &["input", "predicted"] };
    table(headings, &lines.iter().map(row).collect::<Vec<_>>())
}

/// The labels with their probabilities: those that apply before the others, where a head gives several, and else the most
/// probable first.
fn answer(predictions: &[Prediction]) -> String {
    let named = |wanted: &dyn Fn(&Prediction) -> bool| {
        let named = predictions.iter().filter(|p| wanted(p)).map(|p| format!("{} {:.3}", p.label, p.probability));
        named.collect::<Vec<_>>().join("   ")
    };
    if predictions.iter().all(|p| p.threshold.is_none()) {
        return named(&|_| true);
    }
    let (applies, others) = (named(&|p| p.applies), named(&|p| !p.applies));
    let applies = if applies.is_empty() { "none".to_owned() } else { applies };
    if others.is_empty() { applies } else { format!("{applies}   (not {others})") }
}

fn json(line: &Line) -> Value {
    match &line.result {
        Ok(predictions) => {
            let named = predictions.iter().map(|p| match p.threshold {
                None => json!({ "label": p.label, "probability": p.probability }),
                Some(threshold) => json!({
                    "label": p.label, "probability": p.probability, "threshold": threshold, "applies": p.applies
                }),
            });
            let named: Vec<Value> = named.collect();
            json!({ "input": line.input, "label": line.label, "predictions": named, "unknown": line.unknown })
        }
        Err(reason) => json!({ "input": line.input, "label": line.label, "error": reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_apply_are_told_from_those_that_do_not() {
        let prediction = |label: &str, probability, threshold, applies| Prediction {
            label: label.into(),
            probability,
            threshold,
            applies,
        };
        let one = [prediction("cat", 0.9, None, false), prediction("dog", 0.1, None, false)];
        assert_eq!(answer(&one), "cat 0.900   dog 0.100");
        let sets = [prediction("cat", 0.9, Some(0.95), false), prediction("dog", 0.5, Some(0.3), true)];
        assert_eq!(answer(&sets), "dog 0.500   (not cat 0.900)");
        assert_eq!(answer(&sets[..1]), "none   (not cat 0.900)");
        assert_eq!(answer(&sets[1..]), "dog 0.500");
    }
}
