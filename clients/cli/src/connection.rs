//! Which services a command speaks to: what its flags say, then the environment, then the file of contexts.

use std::path::PathBuf;

use clap::Args;
use graft_client::{Error, Graft, Settings, Token, Told};

use crate::say;

/// How to reach the services.
#[derive(Args, Clone)]
pub struct Connection {
    /// The file of contexts. Unless told, GRAFT_CONFIG, or graft/config.toml in XDG_CONFIG_HOME (~/.config).
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub config: Option<PathBuf>,
    /// The context of that file that says where the services are. Unless told, GRAFT_CONTEXT, or the file's current one.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub context: Option<String>,
    /// Where the trainer is. Unless told, GRAFT_TRAINER, or what the context says, or http://127.0.0.1:7400.
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    pub trainer: Option<String>,
    /// Where the extractor is. Unless told, GRAFT_EXTRACTOR, or what the context says, or http://127.0.0.1:7401.
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    pub extractor: Option<String>,
    /// The token that says who calls. Unless told, GRAFT_TOKEN, or what the context says. Others on this machine see what
    /// commands are told; a context's token-file is hidden from them.
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Connection", hide_short_help = true)]
    pub token: Option<String>,
}

impl Connection {
    /// The same, with the service of this name, `trainer` or `extractor`, at `url`.
    pub fn with(mut self, service: &str, url: &str) -> Connection {
        let place = if service == "extractor" { &mut self.extractor } else { &mut self.trainer };
        *place = Some(url.to_owned());
        self
    }

    /// The services; nothing is connected yet. [`Graft::service`] gives one by its name.
    pub fn graft(&self) -> Result<Graft, Error> {
        let settings = self.settings()?;
        for warning in &settings.warnings {
            say::warning(warning);
        }
        Graft::with(&settings)
    }

    /// The same without a word: a shell asks, and nobody would see it.
    pub fn graft_quietly(&self) -> Result<Graft, Error> {
        Graft::with(&self.settings()?)
    }

    /// All that is told of the services, wherever it stands.
    pub fn settings(&self) -> Result<Settings, Error> {
        let Connection { config, context, trainer, extractor, token } = self.clone();
        Told { config, context, trainer, extractor, token: token.map(Token::Text) }.settings()
    }
}
