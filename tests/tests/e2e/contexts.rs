//! Contexts: where services are stands in a file, which `graft config` writes and every command reads.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Output,
};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    command::{Ended, expect},
    services::{Pair, command, free_port},
    tls::Authority,
};
use serde_json::Value;
use tempfile::TempDir;

/// A person with a home and nothing else.
struct Home(TempDir);

impl Home {
    fn new() -> Result<Home> {
        Ok(Home(TempDir::new()?))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".config/graft/config.toml")
    }

    fn run_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Ended> {
        let mut command = command("graft");
        for variable in
            ["GRAFT_CONFIG", "GRAFT_CONTEXT", "GRAFT_TRAINER", "GRAFT_EXTRACTOR", "GRAFT_TOKEN", "XDG_CONFIG_HOME"]
        {
            command.env_remove(variable);
        }
        command.args(arguments).env("HOME", self.0.path()).envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.current_dir(self.0.path()).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((status.code().context("an exit code")?, text(stdout), text(stderr)))
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        self.run_in(&[], arguments)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_speak_to_the_services_of_the_context() -> Result<()> {
    let (pair, home) = (Pair::start().await?, Home::new()?);
    let (trainer, extractor) = (pair.trainer.url(), pair.extractor.url());
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let set = |name: &str, trainer: &str| {
        home.run(&["config", "set-context", name, "--trainer", trainer, "--extractor", &extractor])
    };
    expect(set("here", &trainer)?, 0, &["added the context here", "current"])?;
    expect(set("nowhere", &nowhere)?, 0, &["added the context nowhere"])?;

    expect(home.run(&["backbone", "list"])?, 0, &["efficientnet-lite0"])?;
    expect(home.run(&["heads"])?, 0, &[])?;
    expect(home.run(&["heads", "--context", "nowhere"])?, 3, &[&nowhere, "--context"])?;
    expect(home.run_in(&[("GRAFT_CONTEXT", "nowhere")], &["heads"])?, 3, &[&nowhere])?;
    // What is nearer to the caller wins.
    expect(home.run_in(&[("GRAFT_CONTEXT", "nowhere"), ("GRAFT_TRAINER", &trainer)], &["heads"])?, 0, &[])?;
    expect(home.run(&["heads", "--context", "nowhere", "--trainer", &trainer])?, 0, &[])?;
    expect(home.run_in(&[("GRAFT_TRAINER", &nowhere)], &["--trainer", &trainer, "heads"])?, 0, &[])?;

    expect(home.run(&["config", "use-context", "nowhere"])?, 0, &["nowhere is the current context"])?;
    expect(home.run(&["heads"])?, 3, &[&nowhere])?;
    expect(home.run(&["config", "delete-context", "nowhere"])?, 0, &["there is none now"])?;
    expect(home.run(&["heads", "--context", "nowhere"])?, 1, &["`nowhere`", "there are here", "config.toml"])?;
    Ok(())
}

#[test]
fn the_file_is_its_owners_and_keeps_what_others_wrote() -> Result<()> {
    let home = Home::new()?;
    let path = home.file().display().to_string();
    expect(home.run(&["config", "path"])?, 0, &[&path])?;
    expect(home.run(&["config", "get-contexts"])?, 0, &["context"])?;
    expect(home.run(&["config", "set-context", "a", "--token", "s3cret"])?, 0, &["added the context a"])?;
    ensure!(fs::metadata(&path)?.permissions().mode() & 0o777 == 0o600, "for its owner alone");

    let written = fs::read_to_string(&path)?;
    fs::write(&path, format!("# Ours.\n{written}# The end.\n"))?;
    let set =
        ["config", "set-context", "a", "--token-file", "token", "--ca-file", "/etc/ca.pem", "--server-name", "graft"];
    expect(home.run(&set)?, 0, &["changed the context a"])?;
    let changed = fs::read_to_string(&path)?;
    let token = home.0.path().canonicalize()?.join("token").display().to_string();
    for there in ["# Ours.", "# The end.", &token, "/etc/ca.pem", "server-name = \"graft\""] {
        ensure!(changed.contains(there), "{there}: {changed}");
    }
    ensure!(!changed.contains("s3cret"), "a token's file takes the place of the token: {changed}");
    ensure!(fs::read_dir(home.0.path().join(".config/graft"))?.count() == 1, "nothing is left beside it");

    // A link to where somebody keeps such files stays one.
    let kept = home.0.path().join("kept.toml");
    fs::rename(&path, &kept)?;
    symlink(&kept, &path)?;
    expect(home.run(&["config", "set-context", "a", "--unset", "ca-file", "--token", "s3cret"])?, 0, &[])?;
    ensure!(fs::symlink_metadata(&path)?.is_symlink() && !fs::read_to_string(&kept)?.contains("ca-file"));

    let view = expect(home.run(&["config", "view"])?, 0, &["# Ours.", "token = \"…\""])?;
    ensure!(!view.contains("s3cret"), "{view}");
    let json = expect(home.run(&["config", "view", "--output", "json"])?, 0, &[])?;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(json["current-context"] == "a" && json["contexts"]["a"]["server-name"] == "graft", "{json}");
    ensure!(json["contexts"]["a"]["token"] == "…" && json["contexts"]["a"]["ca-file"].is_null(), "{json}");
    let contexts = expect(home.run(&["config", "get-contexts", "--output", "json"])?, 0, &[])?;
    let contexts: Value = serde_json::from_str(&contexts)?;
    ensure!(contexts[0]["name"] == "a" && contexts[0]["current"] == true, "{contexts}");
    Ok(())
}

#[test]
fn what_is_wrong_is_named() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.0.path().join(".config/graft"))?;
    let write = |text: &str| fs::write(home.file(), text);
    write("[contexts.a]\ntrainer = \"http://127.0.0.1:1\"\nendpoint = \"x\"\n")?;
    for command in [&["heads"][..], &["config", "view"], &["config", "set-context", "b"]] {
        expect(home.run(command)?, 1, &["config.toml:3", "`endpoint`", "`trainer`", "`token-file`"])?;
    }
    write("current-context = \"b\"\n[contexts.a]\n")?;
    expect(home.run(&["heads"])?, 1, &["no context `b`", "there are a", "set-context"])?;
    expect(home.run(&["config", "use-context", "c"])?, 1, &["no context `c`", "there are a"])?;
    expect(home.run(&["config", "use-context", "a"])?, 0, &["a is the current context"])?;
    let alone = ["config", "set-context", "a", "--cert-file", "x"];
    expect(home.run(&alone)?, 1, &["contexts.a", "both together"])?;
    ensure!(!fs::read_to_string(home.file())?.contains("cert-file"), "what could not be used is not written");
    let both = ["config", "set-context", "a", "--token", "x", "--token-file", "y"];
    ensure!(home.run(&both)?.0 != 0);
    expect(home.run(&["heads", "--config", "/nowhere/config.toml"])?, 1, &["/nowhere/config.toml"])?;
    expect(home.run(&["heads", "--trainer", "http://10.0.0.1:1", "--token", "s3cret"])?, 1, &["token", "https://"])?;
    expect(home.run(&["config", "set-context", "a", "--unset", "endpoint"])?, 2, &["endpoint", "ca-file"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_may_read_is_warned_of() -> Result<()> {
    let (pair, home) = (Pair::start().await?, Home::new()?);
    let (trainer, extractor) = (pair.trainer.url(), pair.extractor.url());
    let set = ["config", "set-context", "a", "--token", "s3cret", "--trainer", &trainer, "--extractor", &extractor];
    expect(home.run(&set)?, 0, &[])?;
    expect(home.run(&["heads"])?, 0, &[])?;
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644))?;
    let (code, _, said) = home.run(&["heads"])?;
    ensure!(code == 0 && said.starts_with("warning: ") && said.contains("config.toml"), "{code}: {said}");
    ensure!(!said.contains("s3cret"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_a_certificate_of_the_client_come_from_the_context() -> Result<()> {
    let (pair, home, authority) = (Pair::start().await?, Home::new()?, Authority::new()?);
    let trainer = authority.guard(pair.trainer.port()).await?;
    let extractor = authority.guard(pair.extractor.port()).await?;
    authority.write(home.0.path())?;
    authority.write_client(home.0.path())?;
    let set = ["config", "set-context", "far", "--trainer", &trainer.url, "--extractor", &extractor.url];
    expect(home.run(&set)?, 0, &[])?;
    expect(home.run(&["heads"])?, 3, &[&trainer.url, "`ca-file`"])?;
    expect(home.run(&["config", "set-context", "far", "--ca-file", "ca.pem"])?, 0, &[])?;
    expect(home.run(&["heads"])?, 3, &[&trainer.url])?;
    let proof = ["config", "set-context", "far", "--cert-file", "client.pem", "--key-file", "client-key.pem"];
    expect(home.run(&proof)?, 0, &[])?;
    expect(home.run_in(&[("GRAFT_TOKEN", "s3cret")], &["heads"])?, 0, &[])?;
    expect(home.run(&["backbone", "list"])?, 0, &["efficientnet-lite0"])?;
    Ok(())
}
