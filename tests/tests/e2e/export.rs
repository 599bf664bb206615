//! Classifiers and embeddings that leave Graft, and classifiers that come in, checked by ONNX Runtime, scikit-learn, NumPy and pyarrow.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use graft_proto::v1::{ClassifyInput, ClassifyRequest, Embedding, GetHeadRequest, classify_input};
use graft_tests::{
    command::{expect, graft_on},
    exported::python,
    fashion::{self, Row},
    services::{Pair, Service},
};
use image::GrayImage;
use serde_json::Value;
use tempfile::TempDir;

/// How far a probability may be off: sums in another order.
const CLOSE: f64 = 1e-4;

/// Pictures of rows in files, by which Python and Graft know them alike.
fn pictures(folder: &Path, rows: &[Row]) -> Result<Vec<String>> {
    let write = |(number, row): (usize, &Row)| {
        let path = folder.join(format!("{number}.png"));
        GrayImage::from_raw(28, 28, row.pixels.to_vec()).context("28 * 28 pixels")?.save(&path)?;
        Ok(path.to_string_lossy().into_owned())
    };
    rows.iter().enumerate().map(write).collect()
}

/// The probability of each label for each file, as Graft says.
fn classified(pair: &Pair, head: &str, files: &[String]) -> Result<Vec<HashMap<String, f64>>> {
    let mut arguments = vec!["classify", head, "--top-k", "1000", "--output", "json"];
    arguments.extend(files.iter().map(String::as_str));
    let lines: Value = serde_json::from_str(&expect(graft_on(pair, &arguments)?, 0, &[])?)?;
    let chances = |line: &Value| {
        let predictions = line["predictions"].as_array().context("predictions")?;
        let chance = |p: &Value| Some((p["label"].as_str()?.to_owned(), p["probability"].as_f64()?));
        predictions.iter().map(|prediction| chance(prediction).context("a label and its probability")).collect()
    };
    lines.as_array().context("a line a file")?.iter().map(chances).collect()
}

/// Check that ONNX Runtime says of `files` what Graft does. Gives what Python told of the model.
fn same_in_onnx_runtime(pair: &Pair, head: &str, model: &str, files: &[String]) -> Result<Value> {
    expect(graft_on(pair, &["export", head, "--onnx", model])?, 0, &[&format!("wrote {head}@1"), model])?;
    let mut arguments = vec![model];
    arguments.extend(files.iter().map(String::as_str));
    let told = python("run_onnx.py", &arguments)?;
    ensure!(told["wrong"].as_array().is_some_and(Vec::is_empty), "{head}: {}", told["wrong"]);
    let rows = told["rows"].as_array().context("rows")?;
    let expected = classified(pair, head, files)?;
    ensure!(rows.len() == files.len() && expected.len() == files.len());
    for (row, expected) in rows.iter().zip(&expected) {
        ensure!(row.as_object().is_some_and(|row| row.len() == expected.len()), "{head}: {row} and {expected:?}");
        for (label, chance) in expected {
            let found = row[label].as_f64().context("a probability")?;
            ensure!((found - chance).abs() < CLOSE, "{head}: `{label}` is {found} there and {chance} here");
        }
    }
    Ok(told)
}

/// A dataset of `train` and `test` rows.
fn import(pair: &Pair, folder: &Path, dataset: &str, counts: [usize; 2], more: &[&str]) -> Result<()> {
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    fs::write(at("train.csv"), fashion::csv(&fashion::train()?[..counts[0]]))?;
    fs::write(at("test.csv"), fashion::csv(&fashion::test()?[..counts[1]]))?;
    for split in ["train", "test"] {
        let file = at(&format!("{split}.csv"));
        expect(graft_on(pair, &[&["import", dataset, &file, "--split", split], more].concat())?, 0, &["stored"])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_head_answers_the_same_in_onnx_runtime_and_comes_back_as_it_was() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    import(&pair, folder.path(), "clothes", [300, 60], &[])?;
    let files = pictures(folder.path(), &fashion::test()?[..12])?;
    for kind in ["softmax", "sigmoid", "prototype", "knn", "mlp"] {
        expect(graft_on(&pair, &["train", "clothes", "--head", kind, "--kind", kind])?, 0, &[])?;
        let told = same_in_onnx_runtime(&pair, kind, &at(&format!("{kind}.onnx")), &files)?;
        let metadata = &told["metadata"];
        let name = if kind == "softmax" { "linear" } else { kind };
        ensure!(metadata["kind"] == name && metadata["head"] == format!("{kind}@1"), "{metadata}");
        ensure!(metadata["thresholds"].is_string() == (kind == "sigmoid"), "{metadata}");
        let space = metadata["space"].as_str().context("a space")?;
        ensure!(space.starts_with("efficientnet-lite0@"), "{space}");
        ensure!(told["shapes"]["embedding"][1] == 1280 && told["together"] == 12, "{}", told["shapes"]);
        let doc = told["doc"].as_str().context("a text")?;
        ensure!(doc.contains("shorter side to 256") && doc.contains("[batch, 3, 224, 224]"), "{doc}");

        let file = at(&format!("{kind}.safetensors"));
        expect(graft_on(&pair, &["export", kind, "--safetensors", &file])?, 0, &[&format!("wrote {kind}@1")])?;
        let copy = format!("{kind}-copy");
        let words = [&format!("registered {copy}@1"), space, "nothing was measured"];
        expect(graft_on(&pair, &["import-head", &file, "--name", &copy, "--note", "a copy"])?, 0, &words)?;
        // Not to the last bit: how many inputs share a matrix product depends on when they come.
        for (copied, own) in classified(&pair, &copy, &files)?.iter().zip(&classified(&pair, kind, &files)?) {
            let near = |(label, own): (&String, &f64)| copied.get(label).is_some_and(|it| (it - own).abs() < 1e-6);
            ensure!(copied.len() == own.len() && own.iter().all(near), "{kind}: {copied:?}, {own:?}");
        }
        let again = at("again.safetensors");
        expect(graft_on(&pair, &["export", &copy, "--safetensors", &again])?, 0, &[])?;
        ensure!(tensors(&file)? == tensors(&again)?, "{kind}: every byte of the weights");
    }
    let request = GetHeadRequest { name: "knn-copy".into() };
    let head = pair.trainer.head_client().await?.get_head(request).await?.into_inner().head.context("a head")?;
    let origin = head.origin.context("an origin")?;
    ensure!(origin.note == "a copy" && origin.exported_as == "knn@1" && head.training_run.is_empty(), "{origin:?}");
    expect(graft_on(&pair, &["report", "knn-copy"])?, 0, &["not ready", "imported"])?;
    expect(graft_on(&pair, &["heads"])?, 0, &["knn-copy@1"])?;
    Ok(())
}

/// The bytes behind the header of a safetensors file.
fn tensors(file: &str) -> Result<Vec<u8>> {
    let bytes = fs::read(file)?;
    let length = u64::from_le_bytes(*bytes.first_chunk().context("a header")?) as usize;
    Ok(bytes[8 + length..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn backbones_of_other_precisions_and_forms_are_exported_too() -> Result<()> {
    let folder = TempDir::new()?;
    let repository = folder.path().join("backbones");
    let names = python("small_backbones.py", &[&folder.path().to_string_lossy()])?;
    let names: Vec<&str> = names.as_array().context("names")?.iter().filter_map(Value::as_str).collect();
    for name in &names {
        fs::create_dir_all(repository.join(name))?;
        fs::copy(folder.path().join(format!("{name}.onnx")), repository.join(name).join("model.onnx"))?;
        let table = "resize = 36\ninterpolation = \"bilinear\"\ncrop = 32\nscale = \"symmetric\"\nchannels = \"bgr\"\n\
                     mean = [0.1, 0.2, 0.3]\nstd = [0.5, 0.6, 0.7]\n";
        let whose = "provenance = \"made on the spot\"";
        let manifest = format!("name = \"{name}\"\nmodel = \"model.onnx\"\n{whose}\n\n[preprocessing]\n{table}");
        fs::write(repository.join(name).join(format!("{name}.toml")), manifest)?;
    }
    let data = TempDir::new()?;
    let extractor = Service::extractor(&["--backbones", &repository.to_string_lossy()]).await?;
    let trainer = Service::trainer(&extractor.url(), data.path(), &[]).await?;
    let pair = Pair { extractor, trainer, data };
    let files = pictures(folder.path(), &fashion::test()?[..6])?;
    for name in names {
        import(&pair, folder.path(), name, [200, 40], &["--backbone", name])?;
        // Older operators are tried by the head that needs the most of them.
        let kind = if name == "outputs" { "knn" } else { "softmax" };
        expect(graft_on(&pair, &["train", name, "--kind", kind])?, 0, &[])?;
        let model = folder.path().join(format!("{name}.head.onnx"));
        let told = same_in_onnx_runtime(&pair, name, &model.to_string_lossy(), &files)?;
        let precision = match name {
            "half" => "fp16",
            "int8" => "int8",
            _ => "fp32",
        };
        ensure!(told["metadata"]["precision"] == precision, "{name}: {}", told["metadata"]["precision"]);
        ensure!(told["doc"].as_str().is_some_and(|doc| doc.contains("blue, green, red")), "{}", told["doc"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_leave_as_parquet_and_npy_and_come_back_as_a_head_of_scikit_learn() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    import(&pair, folder.path(), "clothes", [300, 60], &[])?;
    let written = ["dataset", "export", "clothes", "--npy", &at("e.npy"), "--parquet", &at("e.parquet")];
    expect(graft_on(&pair, &written)?, 0, &["wrote 360 rows of clothes", "e.npy", "e.labels.csv", "e.parquet"])?;
    let told = python("read_embeddings.py", &[&at("e.parquet"), &at("e.npy")])?;
    ensure!(
        told["same"] == true && told["shape"] == serde_json::json!([360, 1280]),
        "{} {}",
        told["same"],
        told["shape"]
    );
    let columns = serde_json::json!({
        "id": "string", "hash": "string", "label": "string", "split": "string", "embedding": "list<element: float not null>",
    });
    ensure!(told["columns"] == columns, "{}", told["columns"]);
    ensure!(
        told["notes"]["graft.dataset"] == "clothes" && told["notes"]["graft.dimension"] == "1280",
        "{}",
        told["notes"]
    );
    let rows = told["rows"].as_array().context("rows")?;
    ensure!(rows.iter().filter(|row| row["split"] == "test").count() == 60);

    for kind in ["plain", "standardised", "two"] {
        let file = at(&format!("{kind}.npz"));
        let fitted = python("fit_sklearn.py", &[&at("e.npy"), &file, kind])?;
        let imported = ["import-head", &file, "--name", kind, "--backbone", "efficientnet-lite0"];
        let labels = fitted["labels"].as_array().context("labels")?.len();
        expect(graft_on(&pair, &imported)?, 0, &[&format!("registered {kind}@1: {labels} labels")])?;
        answers_as_there(&pair, kind, &fitted).await?;
    }
    Ok(())
}

/// Check that a head says of embeddings what scikit-learn said of them.
async fn answers_as_there(pair: &Pair, head: &str, fitted: &Value) -> Result<()> {
    let numbers =
        |value: &Value| value.as_array().map(|all| all.iter().filter_map(Value::as_f64).collect::<Vec<f64>>());
    let request = GetHeadRequest { name: head.to_owned() };
    let space = pair.trainer.head_client().await?.get_head(request).await?.into_inner().head.context("a head")?.space;
    let mut client = pair.trainer.classifier_client().await?;
    let labels: Vec<&str> = fitted["labels"].as_array().context("labels")?.iter().filter_map(Value::as_str).collect();
    let rows = fitted["embeddings"].as_array().context("embeddings")?;
    let chances = fitted["probabilities"].as_array().context("probabilities")?;
    ensure!(rows.len() == chances.len() && rows.len() >= 10, "{} rows", rows.len());
    for (row, chances) in rows.iter().zip(chances) {
        let data = numbers(row).context("numbers")?.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect::<Vec<u8>>();
        let embedding = Embedding { space: space.clone(), data: data.into(), ..Default::default() };
        let input = Some(ClassifyInput { input: Some(classify_input::Input::Embedding(embedding)) });
        let request = ClassifyRequest { head: head.to_owned(), input, top_k: 1000, ..Default::default() };
        let found = client.classify(request).await?.into_inner().predictions;
        for (label, chance) in labels.iter().zip(numbers(chances).context("numbers")?) {
            let found = found.iter().find(|found| found.label == *label).context("each label")?;
            let off = (f64::from(found.probability) - chance).abs();
            ensure!(off < 1e-5, "{head}: `{label}` is {} here and {chance} there", found.probability);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_a_split_and_sets_of_labels_are_exported() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let files = pictures(folder.path(), &fashion::test()?[..6])?;
    let labels = ["", "a;b", "c", "a", "c;b", "ü"];
    let lines: String = (0..files.len()).map(|number| format!("{number}.png\t{}\ttrain\n", labels[number])).collect();
    fs::write(at("sets.tsv"), format!("path\tlabels\tsplit\n{lines}"))?;
    expect(graft_on(&pair, &["import", "sets", &at("sets.tsv"), "--multi-label"])?, 0, &["stored 6"])?;
    let kept = expect(graft_on(&pair, &["dataset", "snapshot", "sets", "--output", "json"])?, 0, &[])?;
    let kept: Value = serde_json::from_str(&kept)?;
    let id = kept["id"].as_str().context("an id")?;
    expect(graft_on(&pair, &["dataset", "remove", "sets", "0.png"])?, 0, &["removed 1"])?;
    let export = |more: &[&str]| {
        let files = ["dataset", "export", "sets", "--npy", &at("s.npy"), "--parquet", &at("s.parquet")];
        expect(graft_on(&pair, &[&files[..], more].concat())?, 0, &["wrote"])?;
        python("read_embeddings.py", &[&at("s.parquet"), &at("s.npy")])
    };
    let now = export(&[])?;
    ensure!(now["same"] == true && now["shape"][0] == 5, "{now}");
    ensure!(now["columns"]["labels"] == "list<element: string not null>", "{}", now["columns"]);
    let before = export(&["--snapshot", id])?;
    ensure!(before["same"] == true && before["shape"][0] == 6 && before["notes"]["graft.snapshot"] == id, "{before}");
    let mut sets: Vec<String> =
        before["rows"].as_array().context("rows")?.iter().map(|row| row["labels"].to_string()).collect();
    sets.sort();
    ensure!(sets == ["[\"a\",\"b\"]", "[\"a\"]", "[\"b\",\"c\"]", "[\"c\"]", "[\"ü\"]", "[]"], "{sets:?}");
    let none = export(&["--split", "test"])?;
    ensure!(none["shape"][0] == 0 && none["rows"].as_array().is_some_and(Vec::is_empty), "{none}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_leaves_no_file() -> Result<()> {
    let (pair, folder) = (Pair::start().await?, TempDir::new()?);
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let run = |arguments: &[&str]| graft_on(&pair, arguments);
    expect(run(&["export", "nobody", "--onnx", &at("x.onnx")])?, 1, &["head `nobody` does not exist"])?;
    expect(run(&["dataset", "export", "nothing", "--npy", &at("x.npy")])?, 1, &["dataset `nothing` does not exist"])?;
    expect(run(&["export", "nobody", "--safetensors", "/nowhere/x"])?, 1, &["cannot write /nowhere/x"])?;
    expect(run(&["export", "nobody"])?, 2, &["--onnx"])?;
    ensure!(fs::read_dir(folder.path())?.count() == 0, "nothing half is left");

    let import = |file: &str, more: &[&str]| {
        run(&[&["import-head", file, "--name", "h", "--backbone", "efficientnet-lite0"], more].concat())
    };
    fs::write(at("labels.txt"), "cat\ndog\n")?;
    let labels = ["--labels", &at("labels.txt")];
    for (name, content, words) in [
        ("text", &b"label,pixel\n"[..], "safetensors"),
        ("empty", b"", "safetensors"),
        ("bomb", &[0xff; 4096], "header"),
        ("zip", b"PK\x03\x04", "zip"),
    ] {
        fs::write(at(name), content)?;
        expect(import(&at(name), &labels)?, 1, &[words])?;
    }
    expect(import("/nowhere", &labels)?, 1, &["cannot read /nowhere"])?;
    fs::write(at("labels.txt"), "\n")?;
    expect(import(&at("text"), &labels)?, 1, &["labels.txt", "no label"])?;
    ensure!(expect(run(&["heads", "--output", "json"])?, 0, &[])?.trim() == "[]", "nothing was registered");
    Ok(())
}
