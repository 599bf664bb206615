//! `graft import-head`: a classifier that was fitted elsewhere.
//!
//! # Layout
//! - Here: what is sent. [`npz`]: scikit-learn's arrays; [`array`](mod@array): one of them.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use graft_client::{
    Graft, import_head,
    proto::{Head, HeadLink, ImportHeadOptions, WeightOrder},
};
use prost::bytes::Bytes;

use crate::{Done, heads, output::Output};

mod array;
mod npz;

/// The largest file, in bytes: what the trainer takes.
const MOST_BYTES: u64 = 264 << 20;

/// Register a classifier that was fitted elsewhere: safetensors, or scikit-learn's arrays in an .npz.
///
/// A file of `graft export --safetensors` says all of itself. Other safetensors hold `weight` and `bias`, as of PyTorch's
/// Linear. An .npz holds `coef_`, `intercept_` and `classes_` of a linear model of scikit-learn, and, where embeddings were
/// standardised, `mean_` and `scale_` of the StandardScaler:
/// numpy.savez("head.npz", coef_=model.coef_, intercept_=model.intercept_, classes_=model.classes_)
#[derive(Args)]
pub struct ImportHead {
    /// The file.
    file: PathBuf,
    /// The head's name, for the next version of it.
    #[arg(long)]
    name: String,
    /// The backbone whose embeddings it classifies, or NAME@HASH for that version alone. What the file says unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    backbone: String,
    /// The embedding space that it was fitted in, NAME@HASH, which must be the backbone's. What the file says unless told.
    #[arg(long, default_value = "", hide_default_value = true)]
    space: String,
    /// A file with a label a line, in the order of the logits. What the file says unless told.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What makes its logits probabilities. What the file says unless told, or softmax.
    #[arg(long)]
    link: Option<Link>,
    /// For sigmoid: from which probability on each label is given, separated by commas in the order of the labels. 0.5 unless
    /// told.
    #[arg(long, value_delimiter = ',', value_name = "P")]
    thresholds: Vec<f32>,
    /// How the numbers of `weight` are ordered, where its shape does not tell.
    #[arg(long)]
    order: Option<Order>,
    /// Where it comes from, for whoever asks later.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

/// What makes logits probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Link {
    /// Classes that exclude each other.
    Softmax,
    /// Labels that each have a probability of their own.
    Sigmoid,
}

/// How weights are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// [labels, dimension].
    LabelsFirst,
    /// [dimension, labels].
    DimensionFirst,
}

impl ImportHead {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        let (options, file) = self.prepare()?;
        let head = import_head(&graft.trainer, options, tokio_stream::iter([file])).await?;
        output.show(|| text(&head), || heads::json(&head))?;
        Ok(Done::All)
    }

    /// What is said of the head, and its safetensors file.
    fn prepare(self) -> Result<(ImportHeadOptions, Bytes)> {
        let mut labels = self.labels.as_deref().map(read_labels).transpose()?.unwrap_or_default();
        let bytes = read(&self.file)?;
        let sigmoid = self.link == Some(Link::Sigmoid);
        let (file, order) = if npz::begins(&bytes) {
            let arrays = npz::read(&bytes, sigmoid).with_context(|| self.file.display().to_string())?;
            if labels.is_empty() {
                labels = arrays.labels.clone();
            }
            (arrays.to_safetensors()?, Some(Order::LabelsFirst))
        } else {
            (bytes, self.order)
        };
        let link = match self.link {
            None => HeadLink::Unspecified,
            Some(Link::Softmax) => HeadLink::Softmax,
            Some(Link::Sigmoid) => HeadLink::Sigmoid,
        };
        let weight_order = match order {
            None => WeightOrder::Unspecified,
            Some(Order::LabelsFirst) => WeightOrder::LabelsFirst,
            Some(Order::DimensionFirst) => WeightOrder::DimensionFirst,
        };
        let options = ImportHeadOptions {
            name: self.name,
            backbone: self.backbone,
            space: self.space,
            labels,
            link: link as i32,
            thresholds: self.thresholds,
            weight_order: weight_order as i32,
            note: self.note,
        };
        Ok((options, Bytes::from(file)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    File::open(path).with_context(cannot)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(bytes.len() as u64 <= MOST_BYTES, "{}: more than {MOST_BYTES} bytes; no more are accepted", path.display());
    Ok(bytes)
}

fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let labels: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    ensure!(!labels.is_empty(), "{}: no label; one a line is expected", path.display());
    Ok(labels)
}

fn text(head: &Head) -> String {
    format!(
        "registered {}@{}: {} labels on {}; nothing was measured of it",
        head.name,
        head.version,
        head.labels.len(),
        head.space
    )
}
