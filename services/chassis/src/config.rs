//! Configuration: flag, environment (`PREFIX_FLAG`) and TOML file, in that order, into one typed value.
//!
//! The file and the environment need no code of their own: each flag's environment variable is derived from its name,
//! and a file's entries become the defaults of the flags that they name.

use std::{env, ffi::OsString, fs, path::PathBuf, process::ExitCode};

use clap::{Args, Command, Parser};
use graft_web::Origin;

use crate::telemetry::LogFormat;

/// The exit code for a bad configuration value: `EX_USAGE` of BSD's sysexits.h.
pub const EXIT_BAD_CONFIG: u8 = 64;

/// The flags that all services have.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// A TOML file with a `flag = value` line for each flag to set; flags and environment come first.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How log lines are written.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as `info,graft_trainer=debug`.
    #[arg(long, default_value = "info")]
    pub log_level: String,

    /// Seconds that calls in flight are given to finish after SIGTERM or Ctrl-C.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain_seconds: u64,

    /// An origin whose web pages may call the service, such as https://example.org; * for any page. May be given several times, or
    /// several with commas between them. Pages of other origins are refused; none may call unless told.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag or an environment variable was wrong, or help was asked for.
    #[error("{0}")]
    Flag(#[from] clap::Error),
    /// The file could not be read.
    #[error("config: cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("config: {path} is not TOML: {source}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// The file has an entry that is no flag.
    #[error("config: {path} sets `{key}`, which is no setting; there are: {accepted}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
        /// All settings.
        accepted: String,
    },
    /// The file has an entry of a type that no flag has.
    #[error("config: {path} sets `{key}` to {found}; a string, a number or a boolean is accepted")]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
        /// The type found.
        found: &'static str,
    },
}

impl ConfigError {
    /// Print what was wrong (or the help that was asked for) and give the exit code for it.
    pub fn report(&self) -> ExitCode {
        match self {
            ConfigError::Flag(error) => {
                // A closed terminal is no reason for another exit code.
                let _ = error.print();
                if error.use_stderr() { ExitCode::from(EXIT_BAD_CONFIG) } else { ExitCode::SUCCESS }
            }
            other => {
                eprintln!("error: {other}");
                ExitCode::from(EXIT_BAD_CONFIG)
            }
        }
    }
}

/// Read the configuration of this process. `prefix` begins each environment variable, such as `GRAFT_TRAINER`.
pub fn load<A: Parser>(prefix: &str) -> Result<A, ConfigError> {
    parse(prefix, env::args_os().collect())
}

/// Like [`load`], with the arguments given, the program's name first.
pub fn parse<A: Parser>(prefix: &str, arguments: Vec<OsString>) -> Result<A, ConfigError> {
    let mut command = with_environment(A::command(), prefix);
    if let Some(path) = config_file(&arguments, prefix) {
        command = with_file(command, path)?;
    }
    let matches = command.try_get_matches_from(arguments)?;
    Ok(A::from_arg_matches(&matches)?)
}

fn with_environment(command: Command, prefix: &str) -> Command {
    let prefix = prefix.to_owned();
    command.mut_args(move |arg| {
        let id = arg.get_id().as_str();
        if matches!(id, "help" | "version") {
            return arg;
        }
        let variable = format!("{prefix}_{}", id.to_uppercase());
        arg.env(variable)
    })
}

/// The file must be known before the other flags can be read, so it is looked for by hand.
fn config_file(arguments: &[OsString], prefix: &str) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|a| a.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    env::var_os(format!("{prefix}_CONFIG")).map(PathBuf::from)
}

fn with_file(mut command: Command, path: PathBuf) -> Result<Command, ConfigError> {
    let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let table: toml::Table = text.parse().map_err(|source| ConfigError::NotToml { path: path.clone(), source })?;
    let accepted: Vec<String> = command
        .get_arguments()
        .map(|arg| arg.get_id().as_str().to_owned())
        .filter(|id| !matches!(id.as_str(), "help" | "version" | "config"))
        .collect();
    for (key, value) in table {
        let id = key.replace('-', "_");
        if !accepted.contains(&id) {
            return Err(ConfigError::UnknownKey { path, key, accepted: accepted.join(", ") });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => return Err(ConfigError::WrongType { path, key, found: other.type_str() }),
        };
        command = command.mut_arg(id, |arg| arg.default_value(value));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Parser, Debug)]
    struct Flags {
        #[arg(long, default_value_t = 1)]
        max_batch: u32,
        #[command(flatten)]
        common: CommonArgs,
    }

    fn read(arguments: &[&str]) -> Result<Flags, ConfigError> {
        let arguments = std::iter::once("test").chain(arguments.iter().copied()).map(OsString::from).collect();
        parse("GRAFT_CHASSIS_TEST", arguments)
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = file("max-batch = 8\nlog_level = \"debug\"\n");
        let path = file.path().to_str().unwrap();
        assert_eq!(read(&[]).unwrap().max_batch, 1);
        let from_file = read(&["--config", path]).unwrap();
        assert_eq!((from_file.max_batch, from_file.common.log_level.as_str()), (8, "debug"));
        assert_eq!(read(&["--config", path, "--max-batch", "3"]).unwrap().max_batch, 3);
    }

    #[test]
    fn origins_are_given_one_by_one_or_with_commas() {
        let origins = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Origin>>();
        assert!(read(&[]).unwrap().common.cors_origin.is_empty());
        let flags = read(&["--cors-origin", "https://a.example", "--cors-origin", "http://b.example:8080"]).unwrap();
        assert_eq!(flags.common.cors_origin, origins(&["https://a.example", "http://b.example:8080"]));
        let file = file("cors-origin = \"https://a.example,https://b.example\"\n");
        let flags = read(&["--config", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(flags.common.cors_origin, origins(&["https://a.example", "https://b.example"]));
        let error = read(&["--cors-origin", "example.org"]).unwrap_err().to_string();
        assert!(error.contains("--cors-origin") && error.contains("https://HOST"), "{error}");
    }

    #[test]
    fn an_unknown_entry_names_itself_and_what_there_is() {
        let file = file("max_btach = 8\n");
        let error = read(&["--config", file.path().to_str().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("max_btach") && error.contains("max_batch"), "{error}");
    }

    #[test]
    fn a_bad_value_names_the_flag() {
        let file = file("max_batch = \"many\"\n");
        let error = read(&["--config", file.path().to_str().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("--max-batch") && error.contains("many"), "{error}");
        let missing = read(&["--config", "/nowhere/graft.toml"]).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/graft.toml"), "{missing}");
    }
}
