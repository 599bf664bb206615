//! Arguments, environment and file, put together.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ConfigFile, Context, Place};
use crate::{
    Error,
    connect::{tls::Tls, token::Token},
    retry::Retry,
};

/// Where the trainer of this machine is.
pub const TRAINER: &str = "http://127.0.0.1:7400";
/// Where the extractor of this machine is.
pub const EXTRACTOR: &str = "http://127.0.0.1:7401";

/// What a program was told itself. It wins over the environment, and that over the file of contexts.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The file of contexts; `GRAFT_CONFIG` says it too.
    pub config: Option<PathBuf>,
    /// The context; `GRAFT_CONTEXT` says it too, and the file's `current-context`.
    pub context: Option<String>,
    /// The trainer's address; `GRAFT_TRAINER` says it too.
    pub trainer: Option<String>,
    /// The extractor's address; `GRAFT_EXTRACTOR` says it too.
    pub extractor: Option<String>,
    /// The token; `GRAFT_TOKEN` says it too.
    pub token: Option<Token>,
}

/// How to connect to the services.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trainer's address.
    pub trainer: String,
    /// The extractor's address.
    pub extractor: String,
    /// Says who calls. It is sent over TLS, or to this machine, and nowhere else.
    pub token: Option<Token>,
    /// How services prove who they are, and how this client does; for addresses that begin with `https://`.
    pub tls: Tls,
    /// How calls that are safe to make again are made again.
    pub retry: Retry,
    /// How streams that were lost are opened again, as long as nothing comes; [`Retry::NEVER`] for an error at once.
    pub resume: Retry,
    /// How long a unary call may take that brings no deadline of its own; a minute, or ten for calls that read, measure or
    /// remove a whole dataset, unless told.
    pub deadline: Option<Duration>,
    /// The context that was used.
    pub context: Option<String>,
    /// What is not wrong, but should not be.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    /// The services of this machine.
    fn default() -> Settings {
        Settings {
            trainer: TRAINER.into(),
            extractor: EXTRACTOR.into(),
            token: None,
            tls: Tls::default(),
            retry: Retry::default(),
            resume: Retry::STREAM,
            deadline: None,
            context: None,
            warnings: Vec::new(),
        }
    }
}

impl Told {
    /// How to connect, from all that says it.
    ///
    /// # Errors
    /// [`Error::Config`] if the file cannot be used, or there is no such context.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.settings_in(|name| std::env::var(name).ok())
    }

    /// The same in another environment.
    ///
    /// # Errors
    /// [`Error::Config`] if the file cannot be used, or there is no such context.
    pub fn settings_in(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Settings, Error> {
        let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        // Without a home there is no file, and none is needed.
        let place = Place::find(self.config.as_deref(), environment).ok();
        let file = place.as_ref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let path = place.as_ref().map_or(Path::new(""), |place| &place.path);
        let name = self.context.clone().or_else(|| environment("GRAFT_CONTEXT")).or(file.current_context.clone());
        let context = name.as_ref().map(|name| file.context(name, path)).transpose()?.cloned().unwrap_or_default();
        let of_file = context.token();
        let token = self.token.clone().or_else(|| environment("GRAFT_TOKEN").map(Token::Text));
        let mut warnings = Vec::new();
        if file.contexts.values().any(|context| context.token.is_some()) {
            warnings.extend(open_to_others(path));
        }
        if token.is_none()
            && let Some(Token::File(path)) = &of_file
        {
            warnings.extend(open_to_others(path));
        }
        let first = |told: &Option<String>, variable: &str, file: &Option<String>, usual: &str| {
            told.clone().or_else(|| environment(variable)).or(file.clone()).unwrap_or_else(|| usual.to_owned())
        };
        Ok(Settings {
            trainer: first(&self.trainer, "GRAFT_TRAINER", &context.trainer, TRAINER),
            extractor: first(&self.extractor, "GRAFT_EXTRACTOR", &context.extractor, EXTRACTOR),
            token: token.or(of_file),
            tls: tls(context),
            context: name,
            warnings,
            ..Settings::default()
        })
    }
}

fn tls(context: Context) -> Tls {
    Tls {
        ca_file: context.ca_file.map(PathBuf::from),
        cert_file: context.cert_file.map(PathBuf::from),
        key_file: context.key_file.map(PathBuf::from),
        server_name: context.server_name,
    }
}

/// A warning if others than the owner of a file with a token may read it.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let open = mode & 0o044 != 0;
    open.then(|| {
        format!("{} holds a token, and others may read it ({mode:03o}); `chmod 600` ends that", path.display())
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const FILE: &str = r#"
        current-context = "near"
        [contexts.near]
        trainer = "http://127.0.0.1:1"
        [contexts.far]
        trainer = "https://far:1"
        extractor = "https://far:2"
        token = "of-far"
        server-name = "far.example.org"
    "#;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(mode: u32) -> Folder {
            let folder = tempfile::TempDir::new().unwrap();
            let path = folder.path().join("config.toml");
            fs::write(&path, FILE).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Folder(folder)
        }

        fn settings(&self, told: Told, variables: &[(&str, &str)]) -> Result<Settings, Error> {
            let config = self.0.path().join("config.toml").to_string_lossy().into_owned();
            told.settings_in(|name| {
                let found = variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| *value);
                found.or((name == "GRAFT_CONFIG").then_some(&*config)).map(str::to_owned)
            })
        }
    }

    #[test]
    fn what_is_nearest_to_the_caller_wins() {
        let folder = Folder::new(0o600);
        let near = folder.settings(Told::default(), &[]).unwrap();
        assert_eq!((near.trainer.as_str(), near.extractor.as_str()), ("http://127.0.0.1:1", EXTRACTOR));
        assert_eq!((near.context.as_deref(), near.token), (Some("near"), None));

        let far = folder.settings(Told::default(), &[("GRAFT_CONTEXT", "far")]).unwrap();
        assert_eq!((far.trainer.as_str(), far.extractor.as_str()), ("https://far:1", "https://far:2"));
        assert_eq!(far.tls.server_name.as_deref(), Some("far.example.org"));
        assert_eq!(far.token, Some(Token::Text("of-far".into())));
        assert!(far.warnings.is_empty(), "{:?}", far.warnings);

        let variables = [("GRAFT_CONTEXT", "far"), ("GRAFT_TRAINER", "https://v"), ("GRAFT_TOKEN", "of-variable")];
        let mixed = folder.settings(Told::default(), &variables).unwrap();
        assert_eq!((mixed.trainer.as_str(), mixed.extractor.as_str()), ("https://v", "https://far:2"));
        assert_eq!(mixed.token, Some(Token::Text("of-variable".into())));

        let told = Told {
            context: Some("near".into()),
            trainer: Some("https://told".into()),
            token: Some(Token::Text("told".into())),
            ..Told::default()
        };
        let told = folder.settings(told, &variables).unwrap();
        assert_eq!((told.trainer.as_str(), told.token), ("https://told", Some(Token::Text("told".into()))));
        assert_eq!(told.context.as_deref(), Some("near"));
    }

    #[test]
    fn without_anything_it_is_this_machine() {
        let none = Told::default().settings_in(|_| None).unwrap();
        assert_eq!((none.trainer.as_str(), none.extractor.as_str(), none.context), (TRAINER, EXTRACTOR, None));
        let empty = Told::default().settings_in(|_| Some(String::new())).unwrap();
        assert_eq!((empty.trainer.as_str(), empty.token), (TRAINER, None));
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error() {
        let error = Folder::new(0o600).settings(Told::default(), &[("GRAFT_CONTEXT", "nowhere")]).unwrap_err();
        assert!(error.to_string().contains("`nowhere`") && error.to_string().contains("far, near"), "{error}");
    }

    #[test]
    fn a_token_that_others_may_read_is_warned_of() {
        let warnings = Folder::new(0o644).settings(Told::default(), &[]).unwrap().warnings;
        assert!(warnings[0].contains("config.toml") && warnings[0].contains("644"), "{warnings:?}");
        assert_eq!(Folder::new(0o600).settings(Told::default(), &[]).unwrap().warnings, Vec::<String>::new());
    }
}
