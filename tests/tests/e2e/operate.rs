//! What those who operate the services see: health, reflection, metrics, logs, start-up errors, shutdown.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use graft_proto::v1::{ExtractOptions, GetDatasetRequest};
use graft_tests::{
    calls,
    calls::{create_dataset, extract, import, mentions, refused},
    fashion,
    services::{Pair, Service, command, free_port},
};
use tempfile::TempDir;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test]
async fn both_services_list_themselves_by_reflection_and_say_that_they_are_ready() -> Result<()> {
    let pair = Pair::start().await?;
    for (service, expected) in [
        (&pair.extractor, &["graft.v1.ExtractorService", "inference.GRPCInferenceService"][..]),
        (
            &pair.trainer,
            &[
                "graft.v1.DatasetService",
                "graft.v1.TrainingService",
                "graft.v1.HeadService",
                "graft.v1.ClassifierService",
                "graft.v1.FeedbackService",
                "graft.v1.MaintenanceService",
                "inference.GRPCInferenceService",
            ][..],
        ),
    ] {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(service.channel().await?);
        let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
        let answer = answers.message().await?.context("an answer")?.message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { bail!("{answer:?}") };
        let names: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
        let always = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        let expected: BTreeSet<String> = expected.iter().chain(&always).map(|name| (*name).to_owned()).collect();
        ensure!(names == expected, "{names:?}, but {expected:?} is served");
        let mut health = HealthClient::new(service.channel().await?);
        for name in names.iter().filter(|name| !always.contains(&name.as_str())) {
            let answer = health.check(HealthCheckRequest { service: name.clone() }).await?;
            ensure!(answer.get_ref().status() == ServingStatus::Serving, "{name}: {answer:?}");
        }
        let unknown = health.check(HealthCheckRequest { service: "graft.v1.Nothing".into() }).await;
        refused(unknown, Code::NotFound, &[])?;
        ensure!(service.http("/readyz").await?.starts_with("HTTP/1.1 200"), "ready");
        ensure!(service.http("/livez").await?.starts_with("HTTP/1.1 200"), "live");
    }
    Ok(())
}

#[tokio::test]
async fn metrics_count_calls_images_and_errors() -> Result<()> {
    let pair = Pair::start().await?;
    create_dataset(&pair.trainer, "counted").await?;
    import(&pair.trainer, "counted", calls::examples(&fashion::train()?[..20], Default::default(), 0)).await?;
    refused(calls::import(&pair.trainer, "nowhere", vec![]).await, Code::NotFound, &["nowhere"])?;
    let count = async |service: &Service, name: &str, labels: &str| service.metric(name, labels).await;
    ensure!(count(&pair.extractor, "graft_extractor_images_total", "embedded").await? >= 20.0);
    ensure!(count(&pair.extractor, "graft_extractor_batch_images_count", "").await? >= 1.0);
    ensure!(count(&pair.extractor, "graft_extractor_run_seconds_count", "").await? >= 1.0);
    ensure!(pair.extractor.http("/metrics").await?.contains("graft_extractor_queue_depth_images"));
    ensure!(
        count(&pair.extractor, "graft_extractor_backbone_info", "provider=\"cpu\",precision=\"fp32\"").await? == 1.0
    );
    ensure!(count(&pair.trainer, "graft_rpc_handled_total", "NOT_FOUND").await? >= 1.0);
    ensure!(count(&pair.trainer, "graft_rpc_handled_total", "CreateDataset").await? == 1.0);
    ensure!(count(&pair.trainer, "graft_rpc_duration_seconds_count", "CreateDataset").await? == 1.0);
    ensure!(count(&pair.extractor, "graft_rpc_started_total", "Extract").await? >= 1.0);

    // Whoever makes up methods makes up no metrics.
    let mut anything = tonic::client::Grpc::new(pair.trainer.channel().await?);
    for method in ["/made.up/One", "/made.up/Two"] {
        anything.ready().await?;
        let path = http::uri::PathAndQuery::from_static(method);
        let codec = tonic_prost::ProstCodec::<GetDatasetRequest, GetDatasetRequest>::default();
        let answer = anything.unary(tonic::Request::new(GetDatasetRequest::default()), path, codec).await;
        refused(answer, Code::Unimplemented, &[])?;
    }
    let metrics = pair.trainer.http("/metrics").await?;
    ensure!(!metrics.contains("made.up"), "{metrics}");
    ensure!(count(&pair.trainer, "graft_rpc_handled_total", "method=\"unknown\"").await? == 2.0);
    Ok(())
}

#[tokio::test]
async fn logs_are_json_where_that_is_asked_for() -> Result<()> {
    let extractor = Service::extractor(&["--log-format", "json"]).await?;
    let log = extractor.log();
    ensure!(!log.is_empty(), "something is logged");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        ensure!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_finishes_what_it_has() -> Result<()> {
    let mut extractor = Service::extractor(&[]).await?;
    let row = fashion::reference()?[0].image();
    let items = (0..400).map(|index| (format!("{index}"), row.clone())).collect();
    let url = extractor.url();
    let work = extract(&extractor, ExtractOptions::default(), items);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        extractor.tell_to_stop()
    };
    let (embedded, stopped) = tokio::join!(work, stop);
    stopped?;
    let embedded = embedded?;
    ensure!(embedded.len() == 400 && embedded.values().all(Result::is_ok), "the stream in flight was finished");
    let begun = Instant::now();
    ensure!(extractor.stop().await.is_ok_and(|status| status.success()), "exit code 0");
    ensure!(begun.elapsed() < Duration::from_secs(10), "{url} stops soon after its last call");
    Ok(())
}

fn failing(program: &str, flags: &[&str]) -> Result<(i32, String)> {
    let free = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let mut command = command(program);
    if !flags.contains(&"--listen") {
        command.args(["--listen", &free[0]]);
    }
    if !flags.contains(&"--metrics-listen") {
        command.args(["--metrics-listen", &free[1]]);
    }
    command.args(flags);
    let mut child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn()?;
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill()?;
            bail!("{program} {flags:?} runs, but must not");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let Output { status, stderr, .. } = child.wait_with_output()?;
    Ok((status.code().unwrap_or(-1), String::from_utf8_lossy(&stderr).into_owned()))
}

fn fails(program: &str, flags: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let (exit, message) = failing(program, flags)?;
    mentions(&message, words).with_context(|| format!("{program} {flags:?}"))?;
    ensure!(exit == code, "{program} {flags:?}: exit code {exit}, {code} was expected: {message}");
    ensure!(!message.contains("panicked"), "{message}");
    Ok(())
}

#[test]
fn the_extractor_says_why_it_does_not_start() -> Result<()> {
    let folder = TempDir::new()?;
    let text = folder.path().join("libonnxruntime.so");
    fs::write(&text, "this is no library")?;
    let text = text.to_str().context("a path")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    let name = "graft-extractor";
    fails(name, &["--onnxruntime", "/nowhere/libonnxruntime.so"], 64, &["/nowhere/libonnxruntime.so", "setup"])?;
    fails(name, &["--onnxruntime", text], 64, &[text])?;
    fails(name, &["--listen", &taken], 1, &["listen", &taken, "another port"])?;
    fails(name, &["--metrics-listen", &taken], 1, &["metrics-listen", &taken, "another port"])?;
    fails(name, &["--listen", "nonsense"], 64, &["--listen", "nonsense"])?;
    fails(name, &["--max-batch", "0"], 64, &["--max-batch", "1..=1024"])?;
    fails(name, &["--default-backbone", "resnet-9000"], 64, &["resnet-9000", "efficientnet-lite0"])?;
    fails(name, &["--provider", "cuda"], 64, &["cuda"])?;
    fails(name, &["--backbones", "/nowhere/backbones"], 64, &["/nowhere/backbones"])?;
    fails(name, &["--log-level", "info,=what=is=this"], 64, &["log-level"])?;
    fails(name, &["--no-such-flag"], 64, &["--no-such-flag"])
}

/// What a newcomer meets who has not run the set-up: no flag, no variable, no library beside the program.
#[test]
fn an_onnx_runtime_that_is_nowhere_is_missed_with_what_to_do() -> Result<()> {
    let folder = TempDir::new()?;
    let alone = folder.path().join("bin/graft-extractor");
    fs::create_dir(folder.path().join("bin"))?;
    fs::copy(graft_tests::services::binaries().join("graft-extractor"), &alone)?;
    let output = Command::new(&alone).env_remove("ORT_DYLIB_PATH").output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    mentions(&message, &["libonnxruntime.so", "setup.sh", "--onnxruntime"])?;
    ensure!(output.status.code() == Some(64), "{:?}: {message}", output.status);
    Ok(())
}

/// A library that exports `OrtGetApiBase` as ONNX Runtime does, but knows none of the versions that are asked for:
/// just what a release that is too old looks like.
#[test]
fn an_onnx_runtime_that_is_too_old_is_named() -> Result<()> {
    let folder = TempDir::new()?;
    let source = folder.path().join("old.c");
    fs::write(
        &source,
        r#"
        typedef struct { const void *(*get_api)(unsigned); const char *(*version)(void); } base;
        static const void *get_api(unsigned version) { return version <= 10 ? (void *)"" : 0; }
        static const char *version(void) { return "1.10.0"; }
        static const base the_base = { get_api, version };
        const base *OrtGetApiBase(void) { return &the_base; }
        "#,
    )?;
    let library = folder.path().join("libonnxruntime.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status()?;
    ensure!(built.success(), "cc builds the library");
    let library = library.to_str().context("a path")?;
    fails("graft-extractor", &["--onnxruntime", library], 64, &[library, "1.10.0", "scripts/setup.sh"])
}

#[test]
fn the_trainer_says_why_it_does_not_start() -> Result<()> {
    let folder = TempDir::new()?;
    let data = folder.path().to_str().context("a path")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    let name = "graft-trainer";
    fails(name, &["--data-dir", data, "--listen", &taken], 1, &["listen", &taken, "another port"])?;
    fails(name, &["--data-dir", data, "--extractor", "not a url"], 64, &["extractor", "not a url"])?;
    // A file where the directory should be can be written to by nobody, not even by root.
    let file = folder.path().join("file");
    fs::write(&file, "")?;
    let below = file.join("data");
    let below = below.to_str().context("a path")?;
    fails(name, &["--data-dir", below], 64, &["data-dir", below, "choose another"])?;
    fails(name, &["--data-dir", "/proc/graft"], 64, &["data-dir", "/proc/graft"])
}

/// Root may write anywhere, so the trainer is run by somebody else here, where that can be done.
#[test]
fn a_data_directory_that_may_not_be_written_is_named() -> Result<()> {
    let folder = TempDir::new()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555))?;
    let path = data.to_str().context("a path")?;
    let root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    if !root {
        return fails("graft-trainer", &["--data-dir", path], 64, &["data-dir", path]);
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    // The binaries may be where only root can go, so nobody gets a copy.
    let copy = folder.path().join("graft-trainer");
    fs::copy(graft_tests::services::binaries().join("graft-trainer"), &copy)?;
    let flags =
        format!("--data-dir {path} --listen 127.0.0.1:{} --metrics-listen 127.0.0.1:{}", free_port(), free_port());
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args(flags.split(' '))
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    mentions(&message, &["data-dir", path])?;
    ensure!(output.status.code() == Some(64), "{:?}: {message}", output.status);
    Ok(())
}

#[tokio::test]
async fn two_trainers_cannot_share_a_data_directory() -> Result<()> {
    let pair = Pair::start().await?;
    let data = pair.data.path().to_str().context("a path")?.to_owned();
    tokio::task::spawn_blocking(move || fails("graft-trainer", &["--data-dir", &data], 64, &["data-dir", &data]))
        .await?
}
