//! How services are connected to: the context, TLS, the token.

use std::fs;

use graft_client::{Error, Token, config::Settings};

use super::check::Check;

const NAME: &str = "context";

/// Whether what is told of the connection can be used.
pub fn check(settings: &Result<Settings, Error>) -> Check {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            return Check::failed(NAME, error.to_string(), "`graft config` shows and changes the file of contexts");
        }
    };
    let name = settings.context.clone().unwrap_or_else(|| "none".into());
    let tls = [&settings.trainer, &settings.extractor].iter().all(|url| url.starts_with("https://"));
    let tls = if tls { "TLS" } else { "no TLS, or not for both services" };
    let token = if settings.token.is_some() { "a token" } else { "no token" };
    let found = format!("{name}; {tls}; {token}");
    let unreadable =
        files(settings).into_iter().find_map(|file| Some(format!("{file}: {}", fs::File::open(&file).err()?)));
    match (unreadable, settings.warnings.first()) {
        (Some(reason), _) => {
            Check::failed(NAME, format!("{found}; {reason}"), "the context names this file: mend one of them")
        }
        (None, Some(warning)) => {
            Check::warning(NAME, format!("{found}; {warning}"), "chmod 600 hides a file from others")
        }
        (None, None) => Check::fine(NAME, found),
    }
}

/// The files that the context names.
fn files(settings: &Settings) -> Vec<String> {
    let tls = &settings.tls;
    let token = match &settings.token {
        Some(Token::File(file)) => Some(file),
        _ => None,
    };
    let all = [tls.ca_file.as_ref(), tls.cert_file.as_ref(), tls.key_file.as_ref(), token];
    all.into_iter().flatten().map(|file| file.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::State;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let mut settings = Settings::default();
        assert_eq!(check(&Ok(settings.clone())).state, State::Fine);
        settings.tls.ca_file = Some("/nowhere/ca.pem".into());
        let check = check(&Ok(settings));
        assert!(check.state == State::Failed && check.found.contains("/nowhere/ca.pem"), "{check:?}");
    }
}
