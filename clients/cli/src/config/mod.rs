//! `graft config`: the file of contexts, which say where the services are and how to connect to them.
//!
//! # Layout
//! - `edit`: changes that keep the rest of the file, comments too. `stored`: the file, read and replaced. `show`: what it says.

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use graft_client::config::Place;
use serde_json::json;

use self::{edit::Contexts, stored::Stored};
use crate::{Done, connection::Connection, output::Output};

mod edit;
mod show;
mod stored;

/// Name the services that commands speak to.
#[derive(Args)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the contexts; the current one has a `*`.
    GetContexts,
    /// Make a context the current one.
    UseContext {
        /// Its name.
        name: String,
    },
    /// Add a context, or change what is told of one: with --trainer, --extractor, --token and the flags below. The first becomes
    /// the current one.
    SetContext(SetContext),
    /// Remove a context.
    DeleteContext {
        /// Its name.
        name: String,
    },
    /// Show the file, tokens hidden.
    View,
    /// Say where the file is.
    Path,
}

#[derive(Args)]
struct SetContext {
    /// Its name.
    name: String,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// The certificates of the authorities to trust instead of the system's (PEM).
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// The certificate of this client, for mutual TLS (PEM).
    #[arg(long, value_name = "FILE")]
    cert_file: Option<String>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
    /// The name to expect in the services' certificates instead of their host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// What the context no longer says: `ca-file`, say. Give it several times.
    #[arg(long, value_name = "KEY", value_parser = clap::builder::PossibleValuesParser::new(graft_client::config::file::KEYS))]
    unset: Vec<String>,
}

impl Config {
    pub fn run(self, connection: &Connection, output: Output) -> Result<Done> {
        let place = Place::find(connection.config.as_deref(), |name| std::env::var(name).ok())?;
        match self.command {
            Command::Path => {
                let path = place.path.display().to_string();
                output.show(|| path.clone(), || json!({ "path": path }))?;
            }
            Command::GetContexts => {
                let (contexts, current) = show::contexts(&Stored::read(place)?, connection)?;
                output.show(|| show::table_of(&contexts, &current), || show::json_of(&contexts, &current))?;
            }
            Command::View => {
                let (text, json) = show::view(Stored::read(place)?)?;
                output.show(|| text, || json)?;
            }
            Command::UseContext { name } => {
                let told = change(place, |contexts| contexts.make_current(&name))?;
                output.show(|| told, || json!({ "current": name }))?;
            }
            Command::DeleteContext { name } => {
                let told = change(place, |contexts| contexts.delete(&name))?;
                output.show(|| told, || json!({ "deleted": name }))?;
            }
            Command::SetContext(set) => {
                let name = set.name.clone();
                let told = change(place, |contexts| set.apply(contexts, connection))?;
                output.show(|| told, || json!({ "set": name }))?;
            }
        }
        Ok(Done::All)
    }
}

/// Change the file, unless the outcome could not be used.
fn change(place: Place, with: impl FnOnce(&mut Contexts) -> Result<String>) -> Result<String> {
    let lock = stored::lock(&place)?;
    let mut stored = Stored::read(place)?;
    stored.parse()?;
    let mut contexts = Contexts::new(&stored.text).with_context(|| stored.place.path.display().to_string())?;
    let told = with(&mut contexts)?;
    stored.text = contexts.text();
    stored.parse()?;
    stored.write()?;
    drop(lock);
    Ok(told)
}

impl SetContext {
    fn apply(self, contexts: &mut Contexts, connection: &Connection) -> Result<String> {
        ensure!(!self.name.trim().is_empty(), "NAME is empty; a name such as `production` is expected");
        ensure!(
            connection.token.is_none() || self.token_file.is_none(),
            "--token and --token-file; one of them is accepted"
        );
        let path = |file: Option<String>| file.map(|file| std::path::absolute(&file)).transpose();
        let text = |path: Option<std::path::PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
        let told = [
            ("trainer", connection.trainer.clone()),
            ("extractor", connection.extractor.clone()),
            ("token", connection.token.clone()),
            ("token-file", text(path(self.token_file)?)),
            ("ca-file", text(path(self.ca_file)?)),
            ("cert-file", text(path(self.cert_file)?)),
            ("key-file", text(path(self.key_file)?)),
            ("server-name", self.server_name),
        ];
        let told: Vec<(&str, String)> = told.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        contexts.set(&self.name, &told, &self.unset)
    }
}
