//! The `graft` command, run as a person runs it.

use std::{
    io::Write,
    process::{Output, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    calls::mentions,
    services::{Pair, command},
};

/// Exit code, standard output and standard error.
pub type Ended = (i32, String, String);

/// Run the command on services at these addresses.
pub fn graft(trainer: &str, extractor: &str, arguments: &[&str]) -> Result<Ended> {
    let mut command = command("graft");
    command.args(arguments).env("GRAFT_TRAINER", trainer).env("GRAFT_EXTRACTOR", extractor);
    ended(command.output()?)
}

/// Run the command on these services.
pub fn graft_on(pair: &Pair, arguments: &[&str]) -> Result<Ended> {
    graft(&pair.trainer.url(), &pair.extractor.url(), arguments)
}

/// Run the command on these services, with this on its standard input.
pub fn graft_fed(pair: &Pair, arguments: &[&str], input: &[u8]) -> Result<Ended> {
    let mut command = command("graft");
    command.args(arguments).env("GRAFT_TRAINER", pair.trainer.url()).env("GRAFT_EXTRACTOR", pair.extractor.url());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Whoever does not read to the end has a reason, and says it.
    let _ = child.stdin.take().context("its standard input")?.write_all(input);
    ended(child.wait_with_output()?)
}

/// How a command ended.
pub fn ended(Output { status, stdout, stderr }: Output) -> Result<Ended> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status.code().context("an exit code")?, text(stdout), text(stderr)))
}

/// Results are on standard output, what failed on standard error; a bar on neither, for both are pipes here.
pub fn expect(found: Ended, code: i32, words: &[&str]) -> Result<String> {
    let (exit, out, err) = found;
    ensure!(exit == code, "exit code {exit}, {code} was expected: {out}{err}");
    let (here, other) = if matches!(code, 0 | 4) { (&out, &err) } else { (&err, &out) };
    mentions(here, words)?;
    ensure!(other.is_empty(), "nothing else is said, but: {other}");
    ensure!(!out.contains(['\r', '\u{1b}']) && !err.contains(['\r', '\u{1b}']), "no bar in a pipe: {out}{err}");
    Ok(out)
}
