//! `graft backbone`: pull, list, show, measure or remove backbones.
//!
//! # Layout
//! - [`add`]: pulls a model into a directory that an extractor watches. [`manifest`]: the file that it puts beside it.
//! - [`bench`]: measures thread layouts and batches on this machine. [`run_table`]: writes the best into a manifest.
//! - [`folder`]: the directory, and its folders: made and removed in one step, as the extractor sees it.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use graft_client::{
    Graft,
    proto::{Backbone as Description, GetBackboneRequest, ListBackbonesRequest},
};
use serde_json::{Value, json};

use crate::{
    Done,
    output::{Output, table},
};

mod add;
mod bench;
mod folder;
mod manifest;
mod run_table;

/// Pull, list, show, measure or remove backbones.
#[derive(Args)]
pub struct Backbone {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Pull a model, and put it where the extractor finds it: at once, without a restart.
    Add(add::Add),
    /// Every backbone that the extractor serves, and what is wrong with those that it cannot serve.
    List,
    /// One backbone: its embedding space, preprocessing, and where the classifier was taken off.
    Show {
        /// Its name, or NAME@HASH for one version of it.
        name: String,
    },
    /// Find the thread layout and the batch that run the most images a second on this machine, and write them into the
    /// backbone's manifest. A running extractor notices. Nothing else should run meanwhile.
    Bench(bench::Bench),
    /// Remove a backbone that `add` put there. Streams in flight are finished; heads fitted on it stay.
    Remove(Remove),
}

#[derive(Args)]
struct Remove {
    /// Its name.
    name: Name,
    #[command(flatten)]
    directory: Directory,
}

/// The directory that the extractor watches.
#[derive(Args)]
struct Directory {
    /// The directory of backbones that the extractor watches (its --backbones).
    #[arg(long, env = "GRAFT_BACKBONES", default_value = "graft-data/backbones", value_name = "DIR")]
    backbones: PathBuf,
}

/// A backbone's name, as the extractor accepts it. It is also the name of a folder, so nothing else may pass.
#[derive(Clone, Debug)]
struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inside = |c: char| fine(c) || matches!(c, '-' | '_' | '.');
        if text.len() <= 63 && text.starts_with(fine) && text.chars().all(inside) {
            Ok(Name(text.to_owned()))
        } else {
            Err("1 to 63 characters of a-z, 0-9, -, _ and . are accepted, the first a letter or a digit".into())
        }
    }
}

impl Backbone {
    pub async fn run(self, graft: &Graft, output: Output) -> Result<Done> {
        match self.command.unwrap_or(Command::List) {
            Command::Add(add) => return add.run(graft, output).await,
            Command::Bench(bench) => return bench.run(output).await,
            Command::List => {
                let backbones = all(graft).await?;
                output.show(|| list(&backbones), || backbones.iter().map(json).collect())?;
            }
            Command::Show { name } => {
                let request = GetBackboneRequest { name };
                let answer = graft.extractor.backbones().get_backbone(request).await;
                let answer = answer.map_err(|status| graft.extractor.error(status))?;
                let backbone = answer.into_inner().backbone.context("no backbone")?;
                output.show(|| text(&backbone), || json(&backbone))?;
            }
            Command::Remove(Remove { name: Name(name), directory: Directory { backbones } }) => {
                folder::remove(&backbones, &name)?;
                output.show(|| format!("removed {name}"), || json!({ "removed": name }))?;
            }
        }
        Ok(Done::All)
    }
}

/// Every backbone, also those that are broken.
pub async fn all(graft: &Graft) -> Result<Vec<Description>> {
    let answer = graft.extractor.backbones().list_backbones(ListBackbonesRequest {}).await;
    Ok(answer.map_err(|status| graft.extractor.error(status))?.into_inner().backbones)
}

fn list(backbones: &[Description]) -> String {
    let row = |backbone: &Description| {
        let state = match (backbone.space.is_empty(), backbone.error.is_empty()) {
            (true, _) => "broken",
            (false, false) => "earlier version",
            (false, true) if backbone.default => "default",
            (false, true) => "",
        };
        let dimension = if backbone.space.is_empty() { String::new() } else { backbone.dimension.to_string() };
        let name = if backbone.space.is_empty() { &backbone.name } else { &backbone.space };
        vec![name.clone(), dimension, backbone.precision.clone(), backbone.provider.clone(), state.to_owned()]
    };
    let rows: Vec<_> = backbones.iter().map(row).collect();
    let mut text = table(&["backbone", "dimension", "precision", "provider", ""], &rows);
    for broken in backbones.iter().filter(|backbone| !backbone.error.is_empty()) {
        text += &format!("{}: {}\n", broken.name, broken.error);
    }
    text
}

fn text(backbone: &Description) -> String {
    let mut text = format!("{}, {} numbers an embedding\n", backbone.space, backbone.dimension);
    if let Some(cut) = &backbone.detachment {
        let (node, op, tensor) = (&cut.classifier_node, &cut.classifier_op, &cut.feature_tensor);
        text +=
            &format!("cut:        {op} `{node}` was taken off, {tensor} is the feature\n            {}\n", cut.reason);
    }
    if let Some(p) = &backbone.preprocessing {
        let (resize, crop) = (p.resize_shorter_side, format!("{}x{}", p.crop_height, p.crop_width));
        text += &format!("images:     shorter side to {resize}, {}, centre crop {crop}\n", p.interpolation);
        text += &format!("            mean {:?}, standard deviation {:?}\n", p.mean, p.std);
    }
    text += &format!("runs on:    {}, {}\n", backbone.provider, backbone.precision);
    text += &format!("model:      blake3 {}\n", backbone.model_hash);
    text += &format!("provenance: {}\n", backbone.provenance);
    if !backbone.error.is_empty() {
        text += &format!("its files changed and cannot be used: {}\n", backbone.error);
    }
    text
}

fn json(backbone: &Description) -> Value {
    let cut = backbone.detachment.as_ref().map(|cut| {
        json!({
            "feature_tensor": cut.feature_tensor,
            "classifier_node": cut.classifier_node,
            "classifier_op": cut.classifier_op,
            "reason": cut.reason,
        })
    });
    let preprocessing = backbone.preprocessing.as_ref().map(|p| {
        json!({
            "resize_shorter_side": p.resize_shorter_side,
            "interpolation": p.interpolation,
            "crop_height": p.crop_height,
            "crop_width": p.crop_width,
            "mean": p.mean,
            "std": p.std,
        })
    });
    json!({
        "name": backbone.name,
        "space": backbone.space,
        "dimension": backbone.dimension,
        "preprocessing": preprocessing,
        "detachment": cut,
        "provider": backbone.provider,
        "precision": backbone.precision,
        "model_hash": backbone.model_hash,
        "default": backbone.default,
        "provenance": backbone.provenance,
        "error": backbone.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for name in ["..", "../x", "a/b", "", ".hidden", "A", "a\\b", "a b", &"a".repeat(64)] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        assert!("resnet-50.v1_5".parse::<Name>().is_ok());
    }

    #[test]
    fn a_list_says_what_is_broken() {
        let fine = Description {
            name: "a".into(),
            space: "a@1".into(),
            dimension: 8,
            default: true,
            ..Description::default()
        };
        let broken =
            Description { name: "b".into(), error: "b/model.onnx: truncated".into(), ..Description::default() };
        let text = list(&[fine, broken]);
        assert!(text.contains("a@1") && text.contains("default"), "{text}");
        assert!(text.contains("broken") && text.ends_with("b: b/model.onnx: truncated\n"), "{text}");
    }
}
