//! A thing that was looked at, and what is to be done about it.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::output::table;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// It works, but not as well as it could, or not for long.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be looked at, or need not be.
    Skipped,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Fine => "fine",
            State::Warning => "warning",
            State::Failed => "failed",
            State::Skipped => "skipped",
        }
    }

    fn style(self) -> Style {
        match self {
            State::Fine => AnsiColor::Green.on_default(),
            State::Warning => AnsiColor::Yellow.on_default(),
            State::Failed => AnsiColor::Red.on_default().bold(),
            State::Skipped => Style::new().dimmed(),
        }
    }
}

/// A thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

impl Check {
    /// As it should be.
    pub fn fine(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Fine, found: found.into(), advice: String::new() }
    }

    /// It works, but.
    pub fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { name, state: State::Warning, found: found.into(), advice: advice.into() }
    }

    /// It does not work.
    pub fn failed(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { name, state: State::Failed, found: found.into(), advice: advice.into() }
    }

    /// It was not looked at.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Check {
        Check { name, state: State::Skipped, found: why.into(), advice: String::new() }
    }
}

/// Whether nothing failed.
pub fn is_well(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != State::Failed)
}

/// For people: a row a check, and below what to do. The word for its state is coloured, where colours are shown.
pub fn text(checks: &[Check]) -> String {
    let row = |check: &Check| vec![check.name.to_owned(), check.state.word().to_owned()];
    let aligned = table(&["check", "state"], &checks.iter().map(row).collect::<Vec<_>>());
    let mut lines = aligned.lines();
    let mut text = format!("{}  found\n", lines.next().unwrap_or_default());
    for (line, check) in lines.zip(checks) {
        let (style, word) = (check.state.style(), check.state.word());
        let before = line.strip_suffix(word).unwrap_or(line);
        text += &format!("{before}{style}{word}{style:#}  {}\n", check.found);
    }
    for check in checks.iter().filter(|check| !check.advice.is_empty()) {
        text += &format!("{}: {}\n", check.name, check.advice);
    }
    text
}

/// For programs.
pub fn json(checks: &[Check]) -> Value {
    let one = |check: &Check| json!({ "name": check.name, "state": check.state.word(), "found": check.found, "advice": check.advice });
    json!({ "well": is_well(checks), "checks": checks.iter().map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_what_to_do_below() {
        let checks = [
            Check::fine("trainer", "http://x answers"),
            Check::failed("backbones", "1 of 2 broken", "`graft backbone list` says why"),
        ];
        assert!(!is_well(&checks) && is_well(&checks[..1]));
        let text = anstream::adapter::strip_str(&text(&checks)).to_string();
        assert_eq!(
            text,
            "check       state  found\n\
             trainer      fine  http://x answers\n\
             backbones  failed  1 of 2 broken\n\
             backbones: `graft backbone list` says why\n"
        );
        assert_eq!(json(&checks)["checks"][1]["state"], "failed");
    }
}
