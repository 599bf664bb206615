//! Scans a repository as long as the extractor runs, and hands over each new catalogue.

use std::{sync::Arc, time::Duration};

use metrics::{counter, gauge};

use super::scan::Scanner;
use crate::{
    backbone::catalogue::{Catalogue, Found},
    engines::Engines,
};

/// What is watched, and how.
#[derive(Debug)]
pub struct Watch {
    /// The repository.
    pub scanner: Scanner,
    /// What is there besides it.
    pub built_in: Vec<Found>,
    /// The backbone of requests that name none.
    pub default: String,
    /// The time between two scans.
    pub every: Duration,
}

impl Watch {
    /// The built-in backbones and those found so far.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.built_in.iter().cloned().chain(self.scanner.found()), &self.default)
    }

    /// Scan until the process ends. A scan that fails changes nothing.
    pub async fn run(mut self, engines: Arc<Engines>) {
        let mut failing = false;
        show(&self.catalogue());
        loop {
            tokio::time::sleep(self.every).await;
            match self.scanner.scan().await {
                Ok(changed) => {
                    counter!("graft_extractor_backbone_scans_total", "outcome" => "done").increment(1);
                    failing = false;
                    if changed {
                        let catalogue = self.catalogue();
                        show(&catalogue);
                        engines.replace(catalogue).await;
                    }
                }
                Err(error) => {
                    counter!("graft_extractor_backbone_scans_total", "outcome" => "failed").increment(1);
                    if !failing {
                        tracing::warn!(repository = self.scanner.uri(), %error, "the backbones cannot be listed");
                    }
                    failing = true;
                }
            }
        }
    }
}

fn show(catalogue: &Catalogue) {
    gauge!("graft_extractor_backbones_broken").set(catalogue.faults() as f64);
}
