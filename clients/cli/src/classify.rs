//! `graft classify`: image files or rows of pixels, as any gRPC client would.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use futures::StreamExt;
use graft_client::{
    Graft,
    proto::{
        ClassifyInput, ClassifyItem, ClassifyOptions, ClassifyStreamRequest, Image, Prediction, Split, classify_input,
        classify_stream_request, classify_stream_response, image::Source,
    },
};
use serde_json::{Value, json};

use crate::{
    Done,
    import::{folder::read_image, rows::Rows},
    output::{Output, table},
    progress::Progress,
};

/// Classify image files or rows of pixels.
#[derive(Args)]
pub struct Classify {
    /// The head: NAME for its newest version, or NAME@VERSION.
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
}

/// One input and what came of it.
struct Line {
    input: String,
    /// What the input's file says that it is.
    label: Option<String>,
    image: Option<Image>,
    result: Result<Vec<Prediction>, String>,
}

impl Classify {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let (head, top_k) = (self.head.clone(), self.top_k);
        let mut lines = self.read()?;
        classify(graft, head, top_k, &mut lines).await?;
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
            Ok(row) => Line { input: row.id, label: Some(row.label), image: row.image, result: Ok(vec![]) },
            Err(bad) => Line { input: bad.place, label: None, image: None, result: Err(bad.reason) },
        });
        Ok(lines.collect())
    }
}

fn file(path: &std::path::Path) -> Line {
    let input = path.display().to_string();
    match read_image(path) {
        Ok(bytes) => {
            let image = Some(Image { source: Some(Source::Encoded(bytes.into())) });
            Line { input, label: None, image, result: Ok(vec![]) }
        }
        Err(reason) => Line { input, label: None, image: None, result: Err(reason) },
    }
}

async fn classify(graft: &Graft, head: String, top_k: u32, lines: &mut [Line]) -> Result<()> {
    let items: Vec<(String, Image)> = lines
        .iter_mut()
        .enumerate()
        .filter_map(|(index, line)| line.image.take().map(|image| (index.to_string(), image)))
        .collect();
    let total = items.len() as u64;
    let options = classify_stream_request::Message::Options(ClassifyOptions { head, top_k });
    let items = items.into_iter().map(|(id, image)| {
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) });
        classify_stream_request::Message::Item(ClassifyItem { id, input })
    });
    let messages =
        std::iter::once(options).chain(items).map(|message| ClassifyStreamRequest { message: Some(message) });
    let answers = graft.trainer.classifier().classify_stream(futures::stream::iter(messages)).await;
    let mut answers = answers.map_err(|status| graft.trainer.error(status))?.into_inner();
    let mut progress = Progress::new(Some(total));
    let mut done = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|status| graft.trainer.error(status))?;
        let line = answer.id.parse().ok().and_then(|index: usize| lines.get_mut(index)).context("an unknown answer")?;
        line.result = match answer.result {
            Some(classify_stream_response::Result::Classification(found)) => Ok(found.predictions),
            Some(classify_stream_response::Result::Error(error)) => Err(error.message),
            None => Err("the service gave no answer".into()),
        };
        done += 1;
        progress.at(done, "classifying");
    }
    progress.clear();
    if done < total {
        return Err(graft.trainer.incomplete().into());
    }
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
            Ok(predictions) => cells.push(
                predictions.iter().map(|p| format!("{} {:.3}", p.label, p.probability)).collect::<Vec<_>>().join("   "),
            ),
            Err(reason) => cells.push(format!("rejected: {reason}")),
        }
        cells
    };
    let headings: &[&str] = if labelled { &["input", "is", "predicted"] } else { &["input", "predicted"] };
    table(headings, &lines.iter().map(row).collect::<Vec<_>>())
}

fn json(line: &Line) -> Value {
    match &line.result {
        Ok(predictions) => {
            let named: Vec<Value> =
                predictions.iter().map(|p| json!({ "label": p.label, "probability": p.probability })).collect();
            json!({ "input": line.input, "label": line.label, "predictions": named })
        }
        Err(reason) => json!({ "input": line.input, "label": line.label, "error": reason }),
    }
}
