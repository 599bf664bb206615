//! `graft export`: a classifier as a file for elsewhere.
//!
//! # Layout
//! - Here: the files. [`fetch`]: what they are made of, from the services.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use graft_client::{Graft, proto::Head};
use graft_export::{graft, head::HeadFile};
use serde_json::json;

use crate::{Done, interrupt::unless_interrupted, output::Output, whole::WholeFile};

mod fetch;

/// Write a classifier to a file: with its backbone for any ONNX Runtime, or alone as safetensors.
#[derive(Args)]
#[command(group = ArgGroup::new("file").required(true))]
pub struct Export {
    /// The head: NAME for its newest version, or NAME@VERSION.
    head: String,
    /// Write backbone and head as one ONNX file: from preprocessed images to `probabilities`, `logits` and `embedding`. Its
    /// metadata has the labels and says how images are prepared.
    #[arg(long, value_name = "FILE", group = "file")]
    onnx: Option<PathBuf>,
    /// Write the head alone, for `graft import-head` and for Python's safetensors.
    #[arg(long, value_name = "FILE", group = "file")]
    safetensors: Option<PathBuf>,
}

impl Export {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let Export { head, onnx, safetensors } = self;
        unless_interrupted("nothing was written", async {
            match (onnx, safetensors) {
                (Some(file), _) => with_backbone(graft, output, head, &file).await,
                (_, Some(file)) => alone(graft, output, head, &file).await,
                (None, None) => Ok(()),
            }
        })
        .await?;
        Ok(Done::All)
    }
}

async fn alone(graft: &Graft, output: Output, name: String, file: &Path) -> Result<()> {
    let place = WholeFile::new(file)?;
    let (head, bytes) = fetch::head(&graft.trainer, name).await?;
    write(place, file, &bytes, &head, output)
}

async fn with_backbone(graft_at: &Graft, output: Output, name: String, file: &Path) -> Result<()> {
    let place = WholeFile::new(file)?;
    let (head, bytes) = fetch::head(&graft_at.trainer, name).await?;
    let (about, backbone) = fetch::backbone(&graft_at.extractor, head.space.clone()).await?;
    let model = tokio::task::spawn_blocking(move || graft(&about, backbone, &HeadFile::read(&bytes)?)).await??;
    write(place, file, &model, &head, output)
}

fn write(mut place: WholeFile, file: &Path, bytes: &[u8], head: &Head, output: Output) -> Result<()> {
    place.write_all(bytes).with_context(|| format!("cannot write {}", file.display()))?;
    place.put()?;
    let (name, size, shown) = (format!("{}@{}", head.name, head.version), bytes.len(), file.display().to_string());
    let json = || json!({ "written": shown, "bytes": size, "head": name, "space": head.space, "labels": head.labels });
    output.show(|| format!("wrote {name} to {shown}, {size} bytes"), json)
}
