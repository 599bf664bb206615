//! A repository of backbones while the extractor runs: added, replaced, broken, removed, unloaded and loaded again.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{
    Backbone, ExtractOptions, ExtractRequest, GetBackboneRequest, ListBackbonesRequest, extract_response,
};
use graft_tests::{
    bucket::Bucket,
    calls::{extract_messages, refused},
    fashion,
    services::{Service, root},
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

const DEFAULT: &str = "efficientnet-lite0";
/// A change must show by then; the extractor looks every second.
const WITHIN: Duration = Duration::from_secs(20);

fn built_in(file: &str) -> Result<Vec<u8>> {
    Ok(fs::read(root().join("services/extractor/backbones/efficientnet-lite0").join(file))?)
}

fn model() -> Result<Vec<u8>> {
    built_in("model.onnx")
}

/// The same network with a documentation of so many bytes, which counts like weights.
fn padded(bytes: usize) -> Result<Vec<u8>> {
    let mut model = model()?;
    // ModelProto.doc_string is field 6, with a length in front.
    model.push(6 << 3 | 2);
    let mut length = bytes;
    while length >= 0x80 {
        model.push(length as u8 | 0x80);
        length >>= 7;
    }
    model.push(length as u8);
    model.resize(model.len() + bytes, b'x');
    Ok(model)
}

fn manifest(name: &str, interpolation: &str) -> Result<String> {
    let text = String::from_utf8(built_in("efficientnet-lite0.toml")?)?;
    Ok(text.replacen(DEFAULT, name, 1).replace("bicubic", interpolation))
}

/// Make or change a folder as a careful person does: the model first.
fn put(repository: &Path, name: &str, manifest: &str, model: &[u8]) -> Result<()> {
    let folder = repository.join(name);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("model.onnx"), model)?;
    fs::write(folder.join("backbone.toml"), manifest)?;
    Ok(())
}

async fn watching(repository: &TempDir, flags: &[&str]) -> Result<Service> {
    let path = repository.path().to_string_lossy().into_owned();
    let mut all = vec!["--backbones", &path, "--backbone-poll-seconds", "1"];
    all.extend(flags);
    Service::extractor(&all).await
}

async fn list(service: &Service) -> Result<Vec<Backbone>> {
    Ok(service.extractor_client().await?.list_backbones(ListBackbonesRequest {}).await?.into_inner().backbones)
}

async fn describe(service: &Service, name: &str) -> Result<Backbone, Status> {
    let mut client = service.extractor_client().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = client.get_backbone(GetBackboneRequest { name: name.to_owned() }).await?;
    answer.into_inner().backbone.ok_or_else(|| Status::internal("no backbone"))
}

/// Wait until the list of backbones is as it should be.
async fn until(service: &Service, what: &str, fine: impl Fn(&[Backbone]) -> bool) -> Result<Vec<Backbone>> {
    let begun = Instant::now();
    loop {
        let backbones = list(service).await?;
        if fine(&backbones) {
            return Ok(backbones);
        }
        ensure!(begun.elapsed() < WITHIN, "not within {WITHIN:?}: {what}: {backbones:?}\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn named<'a>(backbones: &'a [Backbone], name: &str) -> Option<&'a Backbone> {
    backbones.iter().find(|backbone| backbone.name == name)
}

/// A stream that stays open, and the space of the embedding that it gave last.
struct Open {
    sender: mpsc::Sender<ExtractRequest>,
    answers: tonic::Streaming<graft_proto::v1::ExtractResponse>,
    sent: usize,
}

impl Open {
    async fn new(service: &Service, backbone: &str) -> Result<Open, Status> {
        let (sender, receiver) = mpsc::channel(8);
        let options = ExtractOptions { backbone: backbone.to_owned(), ..Default::default() };
        let first = extract_messages(options, vec![]).remove(0);
        sender.try_send(first).map_err(|error| Status::internal(error.to_string()))?;
        let mut client = service.extractor_client().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answers = client.extract(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Open { sender, answers, sent: 0 })
    }

    /// Embed an image, and give the space that its embedding is in.
    async fn embed(&mut self) -> Result<String> {
        let row = fashion::reference()?[0].image();
        let items = vec![(format!("{}", self.sent), row)];
        self.sent += 1;
        self.sender.send(extract_messages(ExtractOptions::default(), items).remove(1)).await?;
        while let Some(answer) = self.answers.message().await? {
            if let Some(extract_response::Message::Embeddings(batch)) = answer.message {
                return Ok(batch.space);
            }
        }
        anyhow::bail!("the stream ended without an embedding")
    }
}

/// Embed one image on a stream of its own, to its end, and give the space.
async fn embed(service: &Service, backbone: &str) -> Result<String> {
    let mut stream = Open::new(service, backbone).await?;
    let space = stream.embed().await?;
    drop(stream.sender);
    ensure!(stream.answers.message().await?.is_none(), "nothing more comes");
    Ok(space)
}

#[tokio::test]
async fn a_backbone_is_added_replaced_and_removed_without_a_restart() -> Result<()> {
    let repository = TempDir::new()?;
    let service = watching(&repository, &[]).await?;
    refused(describe(&service, "mine").await, Code::NotFound, &["mine", DEFAULT])?;

    put(repository.path(), "mine", &manifest("mine", "bicubic")?, &model()?)?;
    until(&service, "added", |all| named(all, "mine").is_some_and(|mine| mine.error.is_empty())).await?;
    let first = describe(&service, "mine").await?;
    ensure!(first.dimension == 1280 && !first.default, "{first:?}");
    let mut stream = Open::new(&service, "mine").await?;
    ensure!(stream.embed().await? == first.space);

    put(repository.path(), "mine", &manifest("mine", "nearest")?, &model()?)?;
    until(&service, "replaced", |all| named(all, "mine").is_some_and(|mine| mine.space != first.space)).await?;
    let second = describe(&service, "mine").await?;
    let loads = service.metric("graft_extractor_backbone_loads_total", "").await?;
    ensure!(embed(&service, "mine").await? == second.space, "new streams get the new version");
    let loads_then = service.metric("graft_extractor_backbone_loads_total", "").await?;
    ensure!(loads == 3.0 && loads_then == loads, "it was loaded before it took the place: {loads}, {loads_then}");
    ensure!(stream.embed().await? == first.space, "a stream in flight keeps the one that it began with");
    ensure!(embed(&service, &second.space).await? == second.space, "a version can be named");
    refused(
        Open::new(&service, &first.space).await.map(drop),
        Code::FailedPrecondition,
        &[&first.space, &second.space],
    )?;

    fs::remove_dir_all(repository.path().join("mine"))?;
    until(&service, "removed", |all| named(all, "mine").is_none()).await?;
    refused(Open::new(&service, "mine").await.map(drop), Code::NotFound, &["mine"])?;
    ensure!(stream.embed().await? == first.space, "also when the backbone is gone");
    ensure!(embed(&service, "").await?.starts_with(DEFAULT));
    Ok(())
}

#[tokio::test]
async fn what_is_broken_is_told_and_takes_nothing_down() -> Result<()> {
    let repository = TempDir::new()?;
    put(repository.path(), "good", &manifest("good", "bicubic")?, &model()?)?;
    put(repository.path(), "text", &manifest("text", "bicubic")?, b"label,pixel1\n")?;
    let service = watching(&repository, &[]).await?;
    let whole = model()?;
    put(repository.path(), "half", &manifest("half", "bicubic")?, &whole[..whole.len() / 2])?;
    put(repository.path(), "key", &manifest("key", "bicubic")?.replace("crop =", "crops ="), &whole)?;
    fs::create_dir(repository.path().join("bare"))?;
    fs::write(repository.path().join("bare/model.onnx"), &whole)?;
    put(repository.path(), "second", &manifest("good", "nearest")?, &whole)?;
    let expected = [("text", "not an ONNX file"), ("half", "truncated"), ("key", "crops"), ("bare", "no manifest")];
    for (name, words) in expected {
        let all = until(&service, name, |all| named(all, name).is_some()).await?;
        let error = &named(&all, name).context("it is there")?.error;
        ensure!(error.contains(words) && error.contains(name), "{name}: {error}");
        refused(Open::new(&service, name).await.map(drop), Code::FailedPrecondition, &[name, words])?;
    }
    let taken = |all: &[Backbone]| all.iter().any(|b| b.name == "good" && b.error.contains("is taken"));
    until(&service, "the name is taken", taken).await?;
    ensure!(service.metric("graft_extractor_backbones_broken", "").await? == 5.0);
    let good = describe(&service, "good").await?.space;
    ensure!(embed(&service, "good").await? == good);

    // A good one that breaks goes on with what it has in memory.
    fs::write(repository.path().join("good/backbone.toml"), "name =")?;
    until(&service, "broken later", |all| named(all, "good").is_some_and(|good| !good.error.is_empty())).await?;
    ensure!(embed(&service, "good").await? == good);
    Ok(())
}

#[tokio::test]
async fn a_prefix_of_a_bucket_is_watched_like_a_directory() -> Result<()> {
    let bucket = Bucket::serve().await?;
    let (files, location) = (bucket.files().join("backbones"), format!("{}/backbones", bucket.uri()));
    put(&files, "stored", &manifest("stored", "bicubic")?, &model()?)?;
    let flags = ["--backbones", &location, "--backbone-poll-seconds", "1", "--default-backbone", "stored"];
    let service = Service::extractor_in(bucket.environment(), &flags).await?;
    let first = describe(&service, "").await?;
    ensure!(first.name == "stored" && first.default, "{first:?}");
    ensure!(embed(&service, "").await? == first.space, "the model comes from the bucket");
    put(&files, "stored", &manifest("stored", "nearest")?, &model()?)?;
    until(&service, "replaced", |all| named(all, "stored").is_some_and(|stored| stored.space != first.space)).await?;
    ensure!(embed(&service, "").await? != first.space);

    // A store that is away takes nothing down.
    fs::rename(&files, bucket.files().join("elsewhere"))?;
    fs::remove_dir_all(bucket.files())?;
    let begun = Instant::now();
    while service.metric("graft_extractor_backbone_scans_total", "failed").await? == 0.0 {
        ensure!(begun.elapsed() < WITHIN, "{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(embed(&service, "stored").await?.starts_with("stored@"));
    Ok(())
}

#[tokio::test]
async fn loading_and_unloading_again_and_again_takes_no_more_memory() -> Result<()> {
    let repository = TempDir::new()?;
    let names = ["one", "two", "three"];
    for name in names {
        put(repository.path(), name, &manifest(name, "bicubic")?, &model()?)?;
    }
    let path = repository.path().to_string_lossy().into_owned();
    let flags = ["--backbones", &path, "--threads", "1", "--backbone-memory-mib", "80"];
    // As `graft up` starts it.
    let environment = vec![("MALLOC_MMAP_THRESHOLD_".to_owned(), "262144".to_owned())];
    let service = Service::extractor_in(environment, &flags).await?;
    let resident = || service.resident_memory();
    let mut early = 0;
    for round in 0..8 {
        for name in names {
            embed(&service, name).await?;
        }
        early = if round < 3 { early.max(resident()?) } else { early };
    }
    let late = resident()?;
    println!("{early} bytes early, {late} after {} loads", 8 * names.len());
    ensure!(late as f64 <= 1.15 * early as f64, "{late} bytes are resident, {early} were");
    ensure!(service.metric("graft_extractor_backbone_unloads_total", "memory").await? >= 20.0);
    Ok(())
}

#[tokio::test]
async fn the_least_recently_used_backbone_is_unloaded_for_others_and_loaded_again() -> Result<()> {
    let repository = TempDir::new()?;
    for name in ["one", "two"] {
        put(repository.path(), name, &manifest(name, "bicubic")?, &model()?)?;
    }
    // Two sessions with 13.5 MB of weights and two batches of 4.8 MB each: 35 MiB a backbone, so there is room for two.
    let service = watching(&repository, &["--threads", "1", "--backbone-memory-mib", "80"]).await?;
    let unloads = async || service.metric("graft_extractor_backbone_unloads_total", "memory").await;
    let loaded = async || service.metric("graft_extractor_backbones_loaded", "").await;
    embed(&service, "one").await?;
    ensure!((unloads().await?, loaded().await?) == (0.0, 2.0), "the default one and `one`");
    embed(&service, DEFAULT).await?;
    embed(&service, "two").await?;
    ensure!((unloads().await?, loaded().await?) == (1.0, 2.0), "`one` was used the longest time ago");
    ensure!(service.log().contains("backbone unloaded") && service.log().contains("one@"), "{}", service.log());
    embed(&service, "one").await?;
    ensure!(unloads().await? == 2.0, "and is loaded again when it is used again");
    ensure!(service.metric("graft_extractor_backbones_loaded_bytes", "").await? <= f64::from(80 << 20));

    let (_first, _second) = (Open::new(&service, "one").await?, Open::new(&service, "two").await?);
    let busy = Open::new(&service, "").await.map(drop);
    refused(busy, Code::ResourceExhausted, &["--backbone-memory-mib", "in use"])
}

#[tokio::test]
async fn a_backbone_above_the_budget_is_refused_with_its_size() -> Result<()> {
    let repository = TempDir::new()?;
    put(repository.path(), "large", &manifest("large", "bicubic")?, &padded(50 << 20)?)?;
    put(repository.path(), "larger", &manifest("larger", "bicubic")?, &padded(90 << 20)?)?;
    let service = watching(&repository, &["--threads", "1", "--backbone-memory-mib", "80"]).await?;
    let open = async |name: &str| Open::new(&service, name).await.map(drop);
    refused(open("large").await, Code::FailedPrecondition, &["large", "80 MiB", "--backbone-memory-mib"])?;
    refused(open("larger").await, Code::FailedPrecondition, &["larger/model.onnx", "--backbone-memory-mib"])?;
    ensure!(embed(&service, "").await?.starts_with(DEFAULT));
    Ok(())
}
