//! The file of contexts.

use std::{collections::BTreeMap, fmt, fs, io, ops::Range, path::Path};

use serde::Deserialize;

use super::Place;
use crate::{Error, connect::token::Token};

/// Names of what a context may say.
pub const KEYS: [&str; 8] =
    ["trainer", "extractor", "token", "token-file", "ca-file", "cert-file", "key-file", "server-name"];

/// The file of contexts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConfigFile {
    /// The context that is used unless another is asked for.
    pub current_context: Option<String>,
    /// Each context by its name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// Where services are, and how to connect to them. What it leaves out is as if there were no context.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Context {
    /// The trainer's address.
    pub trainer: Option<String>,
    /// The extractor's address.
    pub extractor: Option<String>,
    /// The token that says who calls.
    pub token: Option<String>,
    /// A file that holds it instead.
    pub token_file: Option<String>,
    /// As in [`Tls`](crate::connect::tls::Tls).
    pub ca_file: Option<String>,
    /// As in [`Tls`](crate::connect::tls::Tls).
    pub cert_file: Option<String>,
    /// As in [`Tls`](crate::connect::tls::Tls).
    pub key_file: Option<String>,
    /// As in [`Tls`](crate::connect::tls::Tls).
    pub server_name: Option<String>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { trainer, extractor, token, token_file, ca_file, cert_file, key_file, server_name } = self;
        let hidden = token.as_ref().map(|_| "…");
        f.debug_struct("Context")
            .field("trainer", trainer)
            .field("extractor", extractor)
            .field("token", &hidden)
            .field("token_file", token_file)
            .field("ca_file", ca_file)
            .field("cert_file", cert_file)
            .field("key_file", key_file)
            .field("server_name", server_name)
            .finish()
    }
}

impl ConfigFile {
    /// Read it; it is empty where nobody named it and there is none.
    ///
    /// # Errors
    /// [`Error::Config`] with the line that is wrong.
    pub fn read(place: &Place) -> Result<ConfigFile, Error> {
        match fs::read_to_string(&place.path) {
            Ok(text) => ConfigFile::parse(&text, &place.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !place.told => Ok(ConfigFile::default()),
            Err(error) => Err(wrong(&place.path, format!("it cannot be read: {error}"))),
        }
    }

    /// Read `text`, which stands at `path`: paths in it are from the folder there.
    ///
    /// # Errors
    /// [`Error::Config`] with the line that is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<ConfigFile, Error> {
        // The library's own rendering shows the line, and a token may stand in it.
        let mut file: ConfigFile = toml::from_str(text).map_err(|error| {
            let place = format!("{}{}", path.display(), line(text, error.span()));
            Error::Config { place, reason: error.message().to_owned() }
        })?;
        for (name, context) in &mut file.contexts {
            context.check(name, path)?;
            context.settle(path.parent().unwrap_or(Path::new("")));
        }
        Ok(file)
    }

    /// The context of this name.
    ///
    /// # Errors
    /// [`Error::Config`] with the names that there are.
    pub fn context(&self, name: &str, path: &Path) -> Result<&Context, Error> {
        self.contexts.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let there =
                if names.is_empty() { "there are none".into() } else { format!("there are {}", names.join(", ")) };
            wrong(path, format!("there is no context `{name}`; {there}; `graft config set-context` makes one"))
        })
    }
}

impl Context {
    /// Its token, if it has one.
    pub fn token(&self) -> Option<Token> {
        let file = || self.token_file.as_ref().map(|path| Token::File(path.into()));
        self.token.clone().map(Token::Text).or_else(file)
    }

    fn check(&self, name: &str, path: &Path) -> Result<(), Error> {
        let wrong = |reason: &str| Err(wrong(path, format!("contexts.{name}: {reason}")));
        if self.token.is_some() && self.token_file.is_some() {
            return wrong("`token` and `token-file`; one of them is accepted");
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return wrong("`cert-file` or `key-file` alone; both together, or neither, are accepted");
        }
        Ok(())
    }

    fn settle(&mut self, folder: &Path) {
        let Context { token_file, ca_file, cert_file, key_file, .. } = self;
        for file in [token_file, ca_file, cert_file, key_file].into_iter().flatten() {
            *file = folder.join(&*file).to_string_lossy().into_owned();
        }
    }
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::Config { place: path.display().to_string(), reason }
}

/// `:LINE` of what begins at `span`.
fn line(text: &str, span: Option<Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    before.map(|before| format!(":{}", before.matches('\n').count() + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, Error> {
        ConfigFile::parse(text, Path::new("/etc/graft/config.toml"))
    }

    #[test]
    fn all_keys_are_read_and_paths_are_from_the_files_folder() {
        let text = KEYS.iter().filter(|key| **key != "token").map(|key| format!("{key} = \"v\"\n")).collect::<String>();
        let file = parse(&format!("current-context = \"a\"\n[contexts.a]\n{text}")).unwrap();
        let a = file.context("a", Path::new("x")).unwrap();
        assert_eq!((file.current_context.as_deref(), a.trainer.as_deref()), (Some("a"), Some("v")));
        assert_eq!(a.token(), Some(Token::File("/etc/graft/v".into())));
        for path in [&a.ca_file, &a.cert_file, &a.key_file] {
            assert_eq!(path.as_deref(), Some("/etc/graft/v"));
        }
        let absolute = parse("[contexts.a]\nca-file = \"/ca.pem\"").unwrap();
        assert_eq!(absolute.contexts["a"].ca_file.as_deref(), Some("/ca.pem"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_is_accepted() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        let unknown = message("\n[contexts.a]\ntrainer = \"x\"\nendpoint = \"y\"");
        assert!(unknown.starts_with("/etc/graft/config.toml:4: ") && unknown.contains("`endpoint`"), "{unknown}");
        assert!(KEYS.iter().all(|key| unknown.contains(&format!("`{key}`"))), "{unknown}");
        let top = message("[context.a]");
        assert!(top.contains("`context`") && top.contains("`contexts`") && top.contains("`current-context`"), "{top}");
        let both = message("[contexts.a]\ntoken = \"s3cret\"\ntoken-file = \"y\"");
        assert!(both.contains("contexts.a") && both.contains("one of them"), "{both}");
        assert!(message("[contexts.a]\ncert-file = \"x\"").contains("both together"));
        let broken = message("[contexts.a]\ntoken = \"s3cret");
        assert!(broken.contains(":2") && !broken.contains("s3cret"), "{broken}");
        let missing =
            parse("[contexts.a]\n[contexts.b]").unwrap().context("c", Path::new("f")).unwrap_err().to_string();
        assert!(missing.contains("`c`") && missing.contains("a, b"), "{missing}");
    }

    #[test]
    fn a_file_that_nobody_named_need_not_be_there() {
        let place = |told| Place { path: "/nowhere/config.toml".into(), told };
        assert_eq!(ConfigFile::read(&place(false)).unwrap(), ConfigFile::default());
        assert!(ConfigFile::read(&place(true)).unwrap_err().to_string().contains("/nowhere/config.toml"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let file = parse("[contexts.a]\ntoken = \"s3cret\"").unwrap();
        assert!(!format!("{file:?}").contains("s3cret"));
    }
}
