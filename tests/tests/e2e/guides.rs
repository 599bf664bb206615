//! The guides, as somebody follows them: each command runs, in the order in which it stands, on real services.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use axum::{Router, extract::RawQuery, routing::get};
use graft_tests::{
    pictures::stripes,
    services::{Service, binaries, onnxruntime, root},
};
use image::ImageFormat;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Classes of the photos, and the seeds of their stripes modulo 17, by which they are told apart.
const CLASSES: [(&str, u32); 3] = [("ripe", 0), ("unripe", 5), ("rotten", 11)];
/// Photos of a class.
const PHOTOS: u32 = 14;
/// What a listing of Custom Vision holds at the most.
const PAGE: usize = 20;

/// What a reader of a guide has: services, photos, a model.
struct Desk {
    folder: TempDir,
    extractor: Service,
    trainer: Service,
    azure: String,
}

/// A block of code in a guide: what it is in, and its text.
struct Block {
    kind: String,
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn your_first_classifier() -> Result<()> {
    follow("first-classifier.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn your_own_backbone() -> Result<()> {
    follow("own-backbone.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_notebook_to_production() -> Result<()> {
    follow("notebook-to-production.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn operate() -> Result<()> {
    follow("operate.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_azure_custom_vision() -> Result<()> {
    follow("azure-custom-vision.md").await
}

async fn follow(guide: &str) -> Result<()> {
    let text = fs::read_to_string(root().join("docs/guides").join(guide))?;
    let desk = Desk::new().await?;
    let mut run = 0;
    for Block { kind, text } in blocks(&text) {
        match kind.as_str() {
            "sh" => desk.shell(&text, &desk.place())?,
            "sh data" => desk.shell(&text, &desk.place().join("data"))?,
            "python" => desk.python(&text)?,
            // The services run already, and the settings are those of the test.
            "sh service" | "sh setup" | "python no-run" | "" => continue,
            other => anyhow::bail!("{guide}: a block of code is `{other}`, which nobody runs"),
        }
        run += 1;
    }
    ensure!(run > 2, "{guide}: {run} blocks were run");
    Ok(())
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { kind: kind.to_owned(), text: text.join("\n") });
        }
    }
    blocks
}

impl Desk {
    async fn new() -> Result<Desk> {
        let folder = TempDir::new()?;
        let place = folder.path();
        for (class, seed) in CLASSES {
            fs::create_dir_all(place.join("photos").join(class))?;
            for number in 1..=PHOTOS {
                let photo = stripes(120, 90, seed + 17 * number, ImageFormat::Jpeg)?;
                fs::write(place.join(format!("photos/{class}/{number}.jpg")), photo)?;
            }
        }
        let built_in = root().join("services/extractor/backbones/efficientnet-lite0");
        fs::copy(built_in.join("model.onnx"), place.join("model.onnx"))?;
        fs::copy(built_in.join("efficientnet-lite0.toml"), place.join("model.toml"))?;
        fs::create_dir(place.join("backbones"))?;
        let backbones = place.join("backbones").display().to_string();
        let extractor = Service::extractor(&["--backbones", &backbones]).await?;
        let trainer = Service::trainer(&extractor.url(), &place.join("data"), &[]).await?;
        let azure = custom_vision(place.join("photos")).await?;
        Ok(Desk { folder, extractor, trainer, azure })
    }

    fn place(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Run a block as a person's shell does, and stop at the first command that fails.
    fn shell(&self, text: &str, place: &Path) -> Result<()> {
        let here = |service: &Service| service.metrics_address();
        let text =
            text.replace("localhost:7410", &here(&self.trainer)).replace("localhost:7411", &here(&self.extractor));
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &text]);
        self.run(bash, place, &text)
    }

    fn python(&self, text: &str) -> Result<()> {
        let python = root().join(".venv/bin/python");
        let generated = Command::new(root().join("clients/python/generate.sh")).env("PYTHON", &python).output()?;
        ensure!(generated.status.success(), "the stubs: {}", String::from_utf8_lossy(&generated.stderr));
        let mut python = Command::new(python);
        python.args(["-c", text]).env("PYTHONPATH", root().join("clients/python/src"));
        self.run(python, &self.place(), text)
    }

    fn run(&self, mut command: Command, place: &Path, text: &str) -> Result<()> {
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(place)
            .env("PATH", format!("{}:{path}", binaries().display()))
            .env("GRAFT_TRAINER", self.trainer.url())
            .env("GRAFT_EXTRACTOR", self.extractor.url())
            .env("GRAFT_BACKBONES", self.place().join("backbones"))
            .env("XDG_CONFIG_HOME", self.place().join("config"))
            .env("XDG_CACHE_HOME", self.place().join("cache"))
            .env("ORT_DYLIB_PATH", onnxruntime())
            .env("AZURE_ENDPOINT", &self.azure)
            .env("TRAINING_KEY", "key")
            .env("PROJECT", "project");
        let output = command.output().with_context(|| format!("to run {text}"))?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{}: {text}\n{out}{err}", output.status);
        Ok(())
    }
}

/// The number of this name in a query.
fn number(query: &str, name: &str) -> usize {
    let values = query.split('&').filter_map(|part| part.split_once('='));
    values.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or_default()
}

/// What Custom Vision's training API tells of a project with these photos, at most [`PAGE`] at once; and the photos.
async fn custom_vision(photos: PathBuf) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (root, files) = (url.clone(), photos.clone());
    let tagged = async move |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        let (take, skip) = (number(&query, "take"), number(&query, "skip"));
        let all = CLASSES.iter().flat_map(|(class, _)| (1..=PHOTOS).map(move |number| (class, number)));
        let page = all.skip(skip).take(take.min(PAGE)).map(|(class, number)| {
            json!({
                "id": format!("{class}-{number}"),
                "width": 120,
                "height": 90,
                "originalImageUri": format!("{root}/photos/{class}/{number}.jpg"),
                "tags": [{"tagId": class, "tagName": class, "created": "2026-01-01T00:00:00Z"}],
                "regions": [],
            })
        });
        Value::Array(page.collect()).to_string()
    };
    let photo = async move |axum::extract::Path((class, file)): axum::extract::Path<(String, String)>| {
        fs::read(files.join(class).join(file)).unwrap_or_default()
    };
    let app = Router::new()
        .route("/customvision/v3.3/training/projects/project/images/tagged", get(tagged))
        .route("/photos/{class}/{file}", get(photo));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

#[test]
fn every_guide_is_followed() -> Result<()> {
    let source = fs::read_to_string(root().join("tests/tests/e2e/guides.rs"))?;
    for entry in fs::read_dir(root().join("docs/guides"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(name == "README.md" || source.contains(&format!("follow(\"{name}\")")), "nobody follows {name}");
    }
    Ok(())
}
