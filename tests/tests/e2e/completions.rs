//! Completions as a shell asks for them, the names of what is there included; manual pages.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    calls::create_dataset,
    command::{expect, graft_on},
    services::{Pair, binaries, command, free_port},
};
use tempfile::TempDir;

/// What bash offers for the last of these words.
fn completed(trainer: &str, words: &[&str]) -> Result<Vec<String>> {
    let last = words.last().context("a word")?;
    let before = words.len().checked_sub(2).map_or("", |at| words[at]);
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(graft completions bash); COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9\n\
         _clap_complete_graft graft '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1,
    );
    let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &script]).env("PATH", path).env("GRAFT_TRAINER", trainer);
    let output = bash.output().context("bash")?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success() && errors.is_empty(), "{errors}");
    Ok(String::from_utf8(output.stdout)?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_completes_commands_flags_values_and_names() -> Result<()> {
    let pair = Pair::start().await?;
    for name in ["pets", "petals", "rooms"] {
        create_dataset(&pair.trainer, name).await?;
    }
    let trainer = pair.trainer.url();
    let of = |words: &[&str]| completed(&trainer, words);
    ensure!(of(&["graft", "doc"])? == ["doctor"]);
    ensure!(of(&["graft", "classifier", "classify-s"])? == ["classify-stream"]);
    ensure!(of(&["graft", "train", "--balance"])? == ["--balance-classes"]);
    ensure!(of(&["graft", "train", "x", "--kind", "pro"])? == ["prototype"]);
    ensure!(of(&["graft", "train", "pet"])? == ["petals", "pets"], "{:?}", of(&["graft", "train", "pet"])?);
    ensure!(of(&["graft", "dataset", "show", "r"])? == ["rooms"]);
    let url = format!("--trainer={trainer}");
    let elsewhere = completed("http://127.0.0.1:1", &["graft", &url, "dataset", "show", "r"])?;
    ensure!(elsewhere == ["rooms"], "the flag wins over the environment: {elsewhere:?}");
    Ok(())
}

#[test]
fn a_shell_does_not_wait_for_services_that_do_not_answer() -> Result<()> {
    // It accepts connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let urls = [format!("http://{}", silent.local_addr()?), format!("http://127.0.0.1:{}", free_port())];
    for url in urls {
        let begun = Instant::now();
        let offered = completed(&url, &["graft", "train", "pet"])?;
        ensure!(offered.is_empty(), "{offered:?}");
        // Bash starts the program twice; the rest is what a busy machine needs.
        ensure!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    Ok(())
}

#[test]
fn each_shell_has_its_script_and_each_command_its_page() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let output = command("graft").args(["completions", shell]).output()?;
        let script = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success() && script.contains("COMPLETE") && script.contains("graft"),
            "{shell}: {script}"
        );
    }
    let folder = TempDir::new()?;
    let output = command("graft").arg("man").arg(folder.path()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("graft-classify.1"))?;
    ensure!(page.contains(".TH") && page.contains("top\\-k") && page.contains("Examples"), "{page}");
    ensure!(folder.path().join("graft-dataset-export.1").is_file() && folder.path().join("graft.1").is_file());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_do_not_exist_have_a_neighbour() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "flowers").await?;
    expect(graft_on(&pair, &["train", "flwoers"])?, 1, &["`flwoers` does not exist", "did you mean `flowers`?"])?;
    expect(graft_on(&pair, &["backbone", "show", "eficientnet-lite0"])?, 1, &["did you mean `efficientnet-lite0`?"])?;
    let (code, _, err) = graft_on(&pair, &["train", "something-else"])?;
    ensure!(code == 1 && !err.contains("did you mean"), "{err}");
    let (code, _, err) = graft_on(&pair, &["--quiet", "train", "flwoers"])?;
    ensure!(code == 1 && err.contains("does not exist") && !err.contains("did you mean"), "{err}");
    expect(graft_on(&pair, &["clasify", "x"])?, 2, &["classify"])?;
    expect(graft_on(&pair, &["train", "flowers", "--balance-clases"])?, 2, &["--balance-classes"])?;
    Ok(())
}
