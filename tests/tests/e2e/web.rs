//! Callers without gRPC: what docs/http.md shows, as it stands, and a web page in a real browser.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use graft_proto::v1::Split;
use graft_tests::{
    browser::run_script,
    calls::{create_dataset, examples, import, train},
    fashion,
    pictures::stripes,
    services::{Pair, Service, root},
    web::Web,
};
use image::ImageFormat;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The commands that a page of the documentation shows, one program each.
fn shown(page: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("docs").join(page))?;
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    Ok(blocks.map(|(block, _)| block.to_owned()).collect())
}

/// Two folders of photos that differ.
fn photos(folder: &Path) -> Result<()> {
    for (label, colour) in [("red", 0), ("blue", 60)] {
        fs::create_dir_all(folder.join(label))?;
        for index in 0..12 {
            fs::write(
                folder.join(label).join(format!("{index}.jpg")),
                stripes(96, 64, colour + index, ImageFormat::Jpeg)?,
            )?;
        }
    }
    Ok(())
}

fn bash(program: &str, folder: &Path, trainer: &Service) -> Result<String> {
    let program = program.replace("http://localhost:7400", &trainer.url());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &program]).current_dir(folder).stdin(Stdio::null());
    let Output { status, stdout, stderr } = bash.output()?;
    let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{status}: {program}: {out} {err}");
    Ok(out)
}

/// The lines of JSON in a text.
fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documentation_shows_works_as_it_stands() -> Result<()> {
    let pair = Pair::start().await?;
    let folder = TempDir::new()?;
    photos(&folder.path().join("photos"))?;
    let programs = shown("http.md")?;
    let [create, import, train, classify] = &programs[..] else {
        anyhow::bail!("four programs, and not {}", programs.len())
    };
    let run = |program: &str| bash(program, folder.path(), &pair.trainer);

    let said = run(create)?;
    ensure!(said.contains("/graft.v1.DatasetService/ImportExamples") && said.contains("\"name\":\"mine\""), "{said}");
    let outcomes = lines(&run(import)?)?;
    let outcomes: Vec<&Value> = outcomes.iter().filter_map(|line| line["outcomes"].as_array()).flatten().collect();
    ensure!(outcomes.len() == 24, "{outcomes:?}");
    ensure!(outcomes.iter().all(|outcome| outcome["outcome"] == "OUTCOME_STORED"), "{outcomes:?}");
    let states = lines(&run(train)?)?;
    let last = states.last().context("a state")?;
    ensure!(last["trainingRun"]["state"] == "TRAINING_STATE_SUCCEEDED", "{last}");
    // The first answer has no line end, and neither has the last.
    let said = run(classify)?;
    let (one, rest) = said.split_once("}{").context("one after the other")?;
    let one: Value = serde_json::from_str(&format!("{one}}}"))?;
    ensure!(one["head"] == "mine@1" && one["predictions"].as_array().map(Vec::len) == Some(2), "{one}");
    let rest = lines(&format!("{{{rest}"))?;
    ensure!(rest.len() == 6 && rest[..5].iter().all(|line| line["classification"]["head"] == "mine@1"), "{rest:?}");
    ensure!(rest[5]["heads"][0]["name"] == "mine", "{rest:?}");

    // What counts calls sees those in JSON as it sees others.
    let counted = async |labels: &str| pair.trainer.metric("graft_rpc_handled_total", labels).await;
    ensure!(counted("method=\"graft.v1.ClassifierService/Classify\",code=\"OK\"").await? == 1.0, "classified once");
    ensure!(counted("method=\"graft.v1.DatasetService/ImportExamples\",code=\"OK\"").await? == 1.0, "imported once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_over_http_too() -> Result<()> {
    let pair = Pair::start().await?;
    let run = |program: &str| bash(program, Path::new("/"), &pair.trainer);
    let post = |path: &str, json: &str| {
        run(&format!("curl --silent --write-out '\\n%{{http_code}}' --json '{json}' http://localhost:7400/{path}"))
    };
    let told = |path: &str, json: &str, code: &str, words: &[&str]| {
        let said = post(path, json)?;
        let (body, http) = said.rsplit_once('\n').context("a code")?;
        ensure!(http == code && words.iter().all(|word| body.contains(word)), "{path} {json}: {said}");
        anyhow::Ok(())
    };
    told(
        "graft.v1.HeadService/GetHead",
        "{\"name\":\"none\"}",
        "404",
        &["not_found", "google.rpc.ResourceInfo", "head"],
    )?;
    told("graft.v1.HeadService/GetHead", "{\"nme\":\"none\"}", "400", &["nme", "accepted are name", "column"])?;
    told(
        "graft.v1.DatasetService/CreateDataset",
        "{\"name\":\"Not a name\"}",
        "400",
        &["invalid_argument", "\"field\":\"name\""],
    )?;
    told("graft.v1.HeadService/Get", "{}", "404", &["unimplemented", "GET /"])?;
    told("graft.v1.DatasetService/ImportExamples", "{}", "415", &["application/x-ndjson"])?;
    told("grpc.health.v1.Health/Check", "{}", "200", &["SERVING"])?;
    // The service waits for nothing: a message that the client sends for ever is cut off.
    let said = run("head -c 30000000 /dev/zero | tr '\\0' ' ' | curl --silent --write-out '%{http_code}' \
         --header 'Transfer-Encoding: chunked' --json @- http://localhost:7400/graft.v1.HeadService/GetHead")?;
    ensure!(said.contains("resource_exhausted") && said.ends_with("413"), "{said}");
    let handled = "method=\"graft.v1.HeadService/GetHead\",code=\"INVALID_ARGUMENT\"";
    ensure!(pair.trainer.metric("graft_rpc_handled_total", handled).await? == 1.0, "the wrong one is counted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_calls_in_json_and_in_grpc_web() -> Result<()> {
    // The page is of the server of images: any page would do.
    let web = Web::start("").await?;
    let data = TempDir::new()?;
    let extractor = Service::extractor(&[]).await?;
    let trainer = Service::trainer(&extractor.url(), data.path(), &["--cors-origin", &web.url]).await?;
    create_dataset(&trainer, "clothes").await?;
    import(&trainer, "clothes", examples(&fashion::train()?[..120], Split::Train, 0)).await?;
    train(&trainer, "clothes").await?;

    let image = BASE64_STANDARD.encode(stripes(96, 64, 1, ImageFormat::Png)?);
    let arguments = json!({ "trainer": trainer.url(), "head": "clothes", "image": image });
    let page = format!("{}/images/page.html", web.url);
    let seen = run_script(&page, "calls.js", &arguments)?;
    ensure!(seen["heads"]["heads"][0]["name"] == "clothes", "{seen}");
    ensure!(seen["classified"]["predictions"].as_array().map(Vec::len) == Some(5), "{seen}");
    ensure!(seen["missing"]["status"] == 404 && seen["missing"]["body"]["code"] == "not_found", "{seen}");
    let stream = seen["stream"].as_array().context("a stream")?;
    ensure!(stream.len() == 2 && stream.iter().any(|line| line["classification"]["head"] == "clothes@1"), "{seen}");
    ensure!(stream.iter().any(|line| line["id"] == "b" && line["error"]["code"] == 3), "{seen}");
    let frames = seen["head"]["frames"].as_array().context("frames")?;
    ensure!(frames.len() == 2 && frames[0]["length"].as_u64() > Some(1000), "{seen}");
    ensure!(frames[1]["text"].as_str().is_some_and(|text| text.contains("grpc-status:0")), "{seen}");
    ensure!(seen["none"]["status"] == "5" && seen["none"]["message"].is_string(), "{seen}");

    // The same page by another name is of another origin.
    let other = page.replace("127.0.0.1", "localhost");
    let seen = run_script(&other, "calls.js", &arguments)?;
    ensure!(seen == json!({ "refused": "TypeError" }), "{seen}");
    Ok(())
}
