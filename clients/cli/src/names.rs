//! The names of what is there.

use anyhow::Result;
use graft_client::Graft;

use crate::{backbone, dataset, heads};

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Classifiers.
    Head,
    /// Datasets.
    Dataset,
    /// Backbones.
    Backbone,
}

impl Kind {
    /// The kind that a service's error is about.
    pub fn of(resource: &str) -> Option<Kind> {
        match resource {
            "head" => Some(Kind::Head),
            "dataset" => Some(Kind::Dataset),
            "backbone" => Some(Kind::Backbone),
            _ => None,
        }
    }
}

/// All names of a kind.
pub async fn existing(kind: Kind, graft: &Graft) -> Result<Vec<String>> {
    let mut names: Vec<String> = match kind {
        Kind::Head => heads::all(graft).await?.into_iter().map(|head| head.name).collect(),
        Kind::Dataset => dataset::all(graft).await?.into_iter().map(|dataset| dataset.name).collect(),
        Kind::Backbone => backbone::all(graft).await?.into_iter().map(|backbone| backbone.name).collect(),
    };
    names.sort();
    names.dedup();
    Ok(names)
}
