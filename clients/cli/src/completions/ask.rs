//! Names for a shell, from the services. Nothing is said if they do not answer soon: somebody waits at the keyboard.

use std::{env, path::PathBuf, time::Duration};

use clap_complete::engine::CompletionCandidate;

use crate::{
    connection::Connection,
    names::{Kind, existing},
};

/// How long a person waits without noticing.
const PATIENCE: Duration = Duration::from_millis(300);

/// The names of this kind.
pub fn candidates(kind: Kind) -> Vec<CompletionCandidate> {
    names(kind).unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

fn names(kind: Kind) -> Option<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let names = runtime.block_on(async {
        let graft = connection(&env::args().collect::<Vec<_>>()).graft_quietly().ok()?;
        tokio::time::timeout(PATIENCE, existing(kind, &graft)).await.ok()?.ok()
    });
    runtime.shutdown_background();
    names
}

/// What the command line, which is not whole yet, says of the services.
fn connection(line: &[String]) -> Connection {
    let given = |flag| given(flag, line).map(str::to_owned);
    Connection {
        config: given("--config").map(PathBuf::from),
        context: given("--context"),
        trainer: given("--trainer"),
        extractor: given("--extractor"),
        token: given("--token"),
    }
}

/// The value of a flag.
fn given<'a>(flag: &str, line: &'a [String]) -> Option<&'a str> {
    line.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => line.get(at + 1).map(String::as_str),
        value => value.strip_prefix('='),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_in_half_a_command_line() {
        let line = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(given("--trainer", &line("graft --trainer http://a classify ")), Some("http://a"));
        assert_eq!(given("--trainer", &line("graft --trainer=http://b train")), Some("http://b"));
        assert_eq!(given("--trainer", &line("graft --trainers x train")), None);
        assert_eq!(given("--trainer", &line("graft train --trainer")), None);
    }
}
