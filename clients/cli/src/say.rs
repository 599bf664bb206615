//! What is said on standard error: errors always, hints and notes unless `--quiet` is given. Colours are for terminals; NO_COLOR and
//! CLICOLOR_FORCE say otherwise.

use std::{
    fmt::Display,
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};

/// Whether only results and errors are wanted. It holds for the whole process, and is set before anything is said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Bold red, as clap's own errors are.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Yellow, as compilers have it.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What may be of help.
const HINT: Style = AnsiColor::Cyan.on_default();

/// Say nothing but errors from now on, if `quiet`.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether nothing but results and errors is wanted.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// What failed.
pub fn error(what: impl Display) {
    anstream::eprintln!("{ERROR}error:{ERROR:#} {what}");
}

/// What is not as it should be, and does not stand in the way.
pub fn warning(what: impl Display) {
    if !is_quiet() {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} {what}");
    }
}

/// What may be done about it.
pub fn hint(what: impl Display) {
    if !is_quiet() {
        anstream::eprintln!("{HINT}hint:{HINT:#} {what}");
    }
}

/// What is good to know.
pub fn note(what: impl Display) {
    if !is_quiet() {
        anstream::eprintln!("{what}");
    }
}

/// What became of one input among many that go on: neither a hint nor the end.
pub fn rejected(input: impl Display, reason: impl Display) {
    anstream::eprintln!("{input}: {reason}");
}
