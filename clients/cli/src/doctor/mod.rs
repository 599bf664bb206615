//! `graft doctor`: what is wrong with the services, this machine and the connection, and what to do about it.
//!
//! # Layout
//! - [`check`](mod@check): a thing that was looked at. [`context`]: how services are connected to. [`services`]: both services, which [`greet`](mod@greet) greets. [`machine`]: what
//!   they need where they run, looked at if that is here.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use graft_client::{Graft, Service};

use self::check::{Check, is_well, json, text};
use crate::{Done, connection::Connection, output::Output};

mod check;
mod context;
mod greet;
mod machine;
mod services;

/// Look for what is wrong, and say what to do about it.
///
/// The exit code is 0 if nothing failed, and 1 otherwise; warnings are no failures. This machine is looked at only if a service is
/// asked for on it.
#[derive(Args)]
pub struct Doctor {
    /// The data directory of `graft up`, whose disk is looked at.
    #[arg(long, default_value = "graft-data", value_name = "DIR")]
    data_dir: PathBuf,
}

impl Doctor {
    pub async fn run(self, connection: &Connection, output: Output) -> Result<Done> {
        let settings = connection.settings();
        let mut checks = vec![context::check(&settings)];
        match settings.and_then(|settings| Graft::with(&settings)) {
            Ok(graft) => {
                checks.extend(services::checks(&graft).await);
                match [&graft.trainer, &graft.extractor].iter().any(|service| is_here(service)) {
                    true => checks.extend(machine::checks(&self.data_dir).await),
                    false => checks.push(Check::skipped("this machine", "both services are elsewhere")),
                }
            }
            Err(error) => {
                checks.push(Check::failed("connection", error.to_string(), "change what it names, and try again"))
            }
        }
        output.show(|| text(&checks), || json(&checks))?;
        Ok(if is_well(&checks) { Done::All } else { Done::Unwell })
    }
}

/// Whether a service is asked for on this machine.
fn is_here(service: &Service) -> bool {
    let host = service.url().split_once("://").map_or(service.url(), |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loopback_address_is_here() {
        let graft = Graft::new("http://127.0.0.1:7400", "http://graft.example.com:7401").unwrap();
        assert!(is_here(&graft.trainer) && !is_here(&graft.extractor));
    }
}
