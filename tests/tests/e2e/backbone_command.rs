//! `graft backbone`: from a path or a web server into the directory that the extractor watches, with exit codes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use graft_tests::{
    calls::mentions,
    services::{Service, command, free_port, root},
};
use tempfile::TempDir;

fn built_in(file: &str) -> PathBuf {
    root().join("services/extractor/backbones/efficientnet-lite0").join(file)
}

/// A directory for backbones, an extractor or an address where none is, and the command between them.
struct Desk {
    folder: TempDir,
    extractor: String,
}

impl Desk {
    fn new(extractor: String) -> Result<Desk> {
        Ok(Desk { folder: TempDir::new()?, extractor })
    }

    fn backbones(&self) -> PathBuf {
        self.folder.path().join("backbones")
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<String> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn run(&self, arguments: &[&str], code: i32, words: &[&str]) -> Result<String> {
        let mut command = command("graft");
        command.arg("backbone").args(arguments).env("GRAFT_BACKBONES", self.backbones());
        command.env("GRAFT_EXTRACTOR", &self.extractor).env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        let Output { status, stdout, stderr } = command.output()?;
        let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
        ensure!(status.code() == Some(code), "{arguments:?}: {status}, {code} was expected: {out}{err}");
        mentions(&format!("{out}{err}"), words)?;
        Ok(out)
    }

    /// Nothing of a failed pull is left.
    fn is_empty(&self) -> bool {
        fs::read_dir(self.backbones()).is_ok_and(|mut files| files.next().is_none())
    }
}

/// Serve files of a folder until the process ends, one request a connection.
fn web(folder: &Path) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = vec![0; 4096];
            let read = connection.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            let mut words = line.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
            let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Whoever asked may be gone.
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(if method == "HEAD" { b"" } else { &body });
        }
    });
    Ok(url)
}

#[tokio::test]
async fn a_model_is_added_listed_shown_and_removed() -> Result<()> {
    let desk = Desk::new(String::new())?;
    fs::create_dir(desk.backbones())?;
    let path = desk.backbones().to_string_lossy().into_owned();
    let service = Service::extractor(&["--backbones", &path, "--backbone-poll-seconds", "1"]).await?;
    let desk = Desk { extractor: service.url(), ..desk };
    let (model, manifest) = (built_in("model.onnx"), built_in("efficientnet-lite0.toml"));
    let (model, manifest) = (model.to_string_lossy(), manifest.to_string_lossy());
    let sha256 = "01108fe5489080bd9f1dacdcddcbb2e1e1331ec937f66b6875d195aba8314953";

    let add = ["add", &model, "--name", "mine", "--manifest", &manifest, "--sha256", sha256];
    desk.run(&add, 0, &["added mine@", "1280 numbers", "Gemm", sha256, "Apache-2.0"])?;
    desk.run(&add, 1, &["there is a backbone `mine`", "--replace", "graft backbone remove mine"])?;
    desk.run(&[], 0, &["mine@", "efficientnet-lite0@", "default"])?;
    let shown = desk.run(&["show", "mine", "--output", "json"], 0, &[])?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let space = shown["space"].as_str().context("a space")?;
    ensure!(shown["error"] == "" && shown["dimension"] == 1280, "{shown}");
    desk.run(&["show", space], 0, &[space])?;
    desk.run(&["show", "mine@0123456789abcdef"], 1, &[space])?;

    // What the extractor refuses is said at once, and taken back.
    let bad_key = fs::read_to_string(&*manifest)?.replace("crop =", "crops =");
    let bad_key = desk.file("bad.toml", bad_key.as_bytes())?;
    desk.run(&["add", &model, "--name", "bad", "--manifest", &bad_key], 1, &["crops"])?;
    ensure!(!desk.backbones().join("bad").exists());
    desk.run(&["add", &model, "--name", "bad", "--manifest", &manifest], 0, &["added bad@"])?;

    // What replaces another is there at once, and what is refused leaves the other where it was.
    let cut = fs::read_to_string(&*manifest)?.replace("\"bicubic\"", "\"nearest\"");
    let cut = desk.file("cut.toml", cut.as_bytes())?;
    let refused = ["add", &model, "--name", "mine", "--replace", "--manifest"];
    desk.run(&[&refused[..], &[&bad_key]].concat(), 1, &["crops"])?;
    desk.run(&["show", "mine"], 0, &[space])?;
    let web = web(&root().join("services/extractor/backbones/efficientnet-lite0"))?;
    let replace = ["add", &format!("{web}/model.onnx"), "--name", "mine", "--replace", "--manifest", &cut];
    desk.run(&replace, 0, &["added mine@"])?;
    ensure!(!desk.run(&["show", "mine"], 0, &["nearest"])?.contains(space), "another space");

    desk.run(&["remove", "mine"], 0, &["removed mine"])?;
    ensure!(!desk.backbones().join("mine").exists());
    desk.run(&["remove", "mine"], 1, &["no backbone `mine`"])?;
    desk.run(&["remove", "../backbones"], 2, &["a-z"])?;
    Ok(())
}

#[test]
fn what_cannot_be_pulled_says_why_and_leaves_nothing() -> Result<()> {
    let desk = Desk::new(format!("http://127.0.0.1:{}", free_port()))?;
    let whole = fs::read(built_in("model.onnx"))?;
    let web = web(&root().join("services/extractor/backbones/efficientnet-lite0"))?;
    let manifest = built_in("efficientnet-lite0.toml").to_string_lossy().into_owned();
    let add = |source: &str, code: i32, words: &[&str]| {
        desk.run(&["add", source, "--name", "mine", "--manifest", &manifest, "--wait", "0"], code, words)
    };
    add(&desk.file("rows.csv", b"label,pixel1\n0,255\n")?, 1, &["rows.csv", "not an ONNX file"])?;
    add(&desk.file("half.onnx", &whole[..whole.len() / 2])?, 1, &["half.onnx", "truncated"])?;
    add(&desk.file("empty.onnx", b"")?, 1, &["empty.onnx", "empty"])?;
    add("/nowhere.onnx", 1, &["/nowhere.onnx", "No such file"])?;
    add(&format!("{web}/nowhere.onnx"), 1, &["nowhere.onnx", "no such file"])?;
    add(&format!("{web}/README.md"), 1, &["README.md", "not an ONNX file"])?;
    add(&format!("http://127.0.0.1:{}/model.onnx", free_port()), 3, &["cannot be reached"])?;
    add("ftp://x.org/model.onnx", 2, &["ftp", "hf://"])?;
    add("http://x.org/model.onnx", 2, &["https://"])?;
    add("hf://owner", 2, &["OWNER/REPO"])?;
    let wrong = ["--name", "mine", "--manifest", &manifest, "--sha256", &"0".repeat(64)];
    let model = format!("{web}/model.onnx");
    desk.run(&[&["add", &model][..], &wrong[..]].concat(), 1, &["sha256", "01108fe5"])?;
    desk.run(&["add", &model, "--name", "mine"], 1, &["--manifest", "preprocessor_config.json"])?;
    desk.run(&["add", &model, "--name", "../mine"], 2, &["a-z"])?;
    desk.run(&["add", &model, "--name", "mine", "--manifest", "/nowhere.toml"], 1, &["/nowhere.toml"])?;
    desk.run(&["add", &model, "--name", "mine", "--sha256", "abc"], 2, &["64 hexadecimal"])?;
    ensure!(desk.is_empty(), "{:?}", fs::read_dir(desk.backbones())?.collect::<Vec<_>>());

    add(&model, 0, &["added mine"])?;
    ensure!(fs::read(desk.backbones().join("mine/model.onnx"))? == whole);
    let written = fs::read_to_string(desk.backbones().join("mine/backbone.toml"))?;
    mentions(&written, &["name = \"mine\"", &model, "sha256 01108fe5", "interpolation = \"bicubic\""])?;
    desk.run(&["list"], 3, &["graft up"])?;
    Ok(())
}
