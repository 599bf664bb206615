//! `graft correct` and `graft corrections`: what was right where a head was wrong.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use graft_client::{
    Graft,
    proto::{
        ClassifyInput, CorrectRequest, CorrectResponse, Correction, CorrectionEffect, Image, ListCorrectionsRequest,
        Split, classify_input, image::Source,
    },
};
use serde_json::{Value, json};

use crate::{
    Done, dataset,
    import::{SplitName, piece::read_image},
    output::{Output, table},
    pages::pages,
};

/// Say what is right where a classifier was wrong. The images become examples of its dataset, or are relabelled there.
#[derive(Args)]
pub struct Correct {
    /// The head that was wrong: NAME for its newest version, or NAME@VERSION.
    head: String,
    /// Image files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What is right; for a multi-label dataset it may be given several times, or not at all.
    #[arg(long)]
    label: Vec<String>,
    /// What the head said, if it is to be remembered; it may be given several times.
    #[arg(long)]
    predicted: Vec<String>,
    /// What images that are new are used for; to fit on unless told.
    #[arg(long, value_enum)]
    split: Option<SplitName>,
}

/// List corrections, the newest first.
#[derive(Args)]
pub struct Corrections {
    /// NAME for all versions of a head, NAME@VERSION for one; all heads unless told.
    #[arg(default_value = "", hide_default_value = true)]
    head: String,
    /// The most to list.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

/// A file and what came of it.
struct Line {
    file: String,
    result: Result<CorrectResponse, String>,
}

impl Correct {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let mut lines = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let result = self.correct(graft, file).await?;
            lines.push(Line { file: file.display().to_string(), result });
        }
        let failed = lines.iter().any(|line| line.result.is_err());
        output.show(|| text(&lines), || lines.iter().map(json).collect())?;
        Ok(if failed { Done::Some } else { Done::All })
    }

    /// Correct the answer for one file. What is wrong with the file does not keep the others from being corrected.
    async fn correct(&self, graft: &Graft, file: &Path) -> Result<Result<CorrectResponse, String>> {
        let bytes = match read_image(file) {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Err(reason)),
        };
        let image = Image { source: Some(Source::Encoded(bytes.into())) };
        let request = CorrectRequest {
            head: self.head.clone(),
            id: file.display().to_string(),
            input: Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) }),
            labels: self.label.clone(),
            predicted: self.predicted.clone(),
            split: self.split.map_or(Split::Unspecified, Split::from) as i32,
        };
        match graft.trainer.feedback().correct(request).await {
            Ok(answer) => Ok(Ok(answer.into_inner())),
            Err(status) => {
                let error = graft.trainer.error(status);
                // Whoever cannot be reached for one cannot be for the others.
                if error.is_unreachable() || self.files.len() == 1 {
                    Err(error.into())
                } else {
                    Ok(Err(error.to_string()))
                }
            }
        }
    }
}

/// What was done, as people say it.
fn effect(answer: &CorrectResponse) -> &'static str {
    match answer.effect() {
        CorrectionEffect::Unspecified => "",
        CorrectionEffect::Added => "added",
        CorrectionEffect::Relabelled => "relabelled",
        CorrectionEffect::Unchanged => "known already",
    }
}

fn text(lines: &[Line]) -> String {
    let row = |line: &Line| match &line.result {
        Ok(answer) => {
            let example = answer.example.clone().unwrap_or_default();
            let held_out = if answer.held_out { "; measured on, not fitted on" } else { "" };
            let done = format!("{} in {}, {}{held_out}", effect(answer), answer.dataset, dataset::split(&example));
            vec![line.file.clone(), answer.head.clone(), example.labels.join(" + "), done]
        }
        Err(reason) => vec![line.file.clone(), String::new(), String::new(), format!("rejected: {reason}")],
    };
    table(&["input", "head", "is", "example"], &lines.iter().map(row).collect::<Vec<_>>())
}

fn json(line: &Line) -> Value {
    match &line.result {
        Ok(answer) => json!({
            "input": line.file, "head": answer.head, "dataset": answer.dataset, "effect": effect(answer),
            "held_out": answer.held_out, "example": answer.example.as_ref().map(dataset::example),
        }),
        Err(reason) => json!({ "input": line.file, "error": reason }),
    }
}

impl Corrections {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let mut count = 0;
        let page = async |page_size, page_token| {
            let request = ListCorrectionsRequest { head: self.head.clone(), page_size, page_token };
            let answer = graft.trainer.feedback().list_corrections(request).await;
            let page = answer.map_err(|status| graft.trainer.error(status))?.into_inner();
            count = page.correction_count;
            Ok((page.corrections, page.next_page_token))
        };
        let found = pages(self.limit, page).await?.entries;
        let row = |c: &Correction| vec![c.head.clone(), c.predicted.join(" + "), c.labels.join(" + "), c.hash.clone()];
        let text = || {
            let rows: Vec<_> = found.iter().map(row).collect();
            table(&["head", "said", "is", "hash"], &rows) + &format!("{} of {count}\n", found.len())
        };
        let json = |c: &Correction| {
            let seconds = c.create_time.map(|time| time.seconds);
            json!({
                "id": c.id, "head": c.head, "hash": c.hash, "predicted": c.predicted, "labels": c.labels,
                "create_time_seconds": seconds,
            })
        };
        output.show(text, || json!({ "count": count, "corrections": found.iter().map(json).collect::<Vec<_>>() }))?;
        Ok(Done::All)
    }
}
