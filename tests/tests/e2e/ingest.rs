//! Every form of input through the real command and the real services: what is good is stored with its label and split,
//! what is bad is named, and the rest goes on.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use graft_tests::{
    command::{expect, graft_on},
    forms,
    pictures::stripes,
    services::Pair,
};
use image::ImageFormat;
use serde_json::Value;
use tempfile::TempDir;

/// Six pictures of two classes. They are the same in each form, so that they are embedded once.
fn pictures() -> Result<Vec<(&'static str, Bytes)>> {
    let class = |index| if index % 2 == 0 { "wide" } else { "narrow" };
    (0..6).map(|index| Ok((class(index), stripes(40 + index, 36, 3 * index, ImageFormat::Png)?))).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// Examples of a dataset: label and split, by id.
fn stored(pair: &Pair, dataset: &str) -> Result<BTreeMap<String, (String, String)>> {
    let listed = expect(graft_on(pair, &["dataset", "examples", dataset, "--output", "json"])?, 0, &[])?;
    let listed: Vec<Value> = serde_json::from_str(&listed)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join("+");
    Ok(listed.iter().map(|e| (text(&e["id"]), (labels(&e["labels"]), text(&e["split"])))).collect())
}

/// Import `path` and check the exit code and what is said; then that it stored these ids with these labels.
fn import(
    pair: &Pair,
    dataset: &str,
    path: &Path,
    flags: &[&str],
    (code, words): (i32, &[&str]),
    examples: &[(&str, &str)],
) -> Result<()> {
    let path = path.to_string_lossy();
    let arguments = [&["import", dataset, &path], flags].concat();
    expect(graft_on(pair, &arguments)?, code, words).with_context(|| dataset.to_owned())?;
    let found = stored(pair, dataset)?;
    let found: Vec<(&str, &str)> = found.iter().map(|(id, (label, _))| (id.as_str(), label.as_str())).collect();
    let mut expected = examples.to_vec();
    expected.sort_unstable();
    ensure!(found == expected, "{dataset}: {found:?}, {expected:?} was expected");
    expect(graft_on(pair, &arguments)?, code, &["stored 0"]).with_context(|| format!("{dataset} once more"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_zips_and_tables() -> Result<()> {
    let (pair, folder, pictures) = (Pair::start().await?, TempDir::new()?, pictures()?);
    let at = |name: &str| folder.path().join(name);
    for (index, (class, bytes)) in pictures.iter().enumerate() {
        let split = ["train", "val", "test"][index / 2];
        write(&at(&format!("splits/{split}/{class}/{index}.png")), bytes)?;
        write(&at(&format!("plain/{index}.png")), bytes)?;
    }
    write(&at("splits/train/wide/note.txt"), b"no image")?;
    let ids = [
        "train/wide/0.png",
        "train/narrow/1.png",
        "val/wide/2.png",
        "val/narrow/3.png",
        "test/wide/4.png",
        "test/narrow/5.png",
    ];
    let labelled: Vec<(&str, &str)> = ids.iter().zip(&pictures).map(|(id, (class, _))| (*id, *class)).collect();
    import(&pair, "folders", &at("splits"), &[], (4, &["rejected 1", "train/wide/note.txt"]), &labelled)?;
    for (id, (_, split)) in stored(&pair, "folders")? {
        ensure!(split.starts_with(id.split('/').next().context("a split")?), "{id} is in {split}");
    }

    let zipped: Vec<String> = ids.iter().map(|id| format!("photos/{id}")).collect();
    let mut members: Vec<(&str, &[u8])> =
        zipped.iter().zip(&pictures).map(|(id, (_, bytes))| (id.as_str(), &bytes[..])).collect();
    let bomb = vec![0; 17 << 20];
    members.extend([
        ("../../evil.png", &pictures[0].1[..]),
        ("/etc/evil.png", &pictures[0].1[..]),
        ("photos/train/wide/bomb.png", &bomb[..]),
        ("__MACOSX/photos/._0.png", b"resource"),
    ]);
    forms::zip(&at("photos.zip"), &members)?;
    let words = ["rejected 3", "../../evil.png", "/etc/evil.png", "leads out", "bomb.png", "at most 16777216"];
    let labelled: Vec<(&str, &str)> =
        zipped.iter().zip(&pictures).map(|(id, (class, _))| (id.as_str(), *class)).collect();
    import(&pair, "zipped", &at("photos.zip"), &[], (4, &words), &labelled)?;
    write(&at("broken.zip"), &fs::read(at("photos.zip"))?[..5000])?;
    expect(graft_on(&pair, &["import", "x", &at("broken.zip").to_string_lossy()])?, 1, &["broken.zip"])?;

    let table = "Image,Class,Split\nplain/0.png,wide,train\nplain/1.png,7,val\nplain/9.png,wide,train\nplain/2.png,,train\n\
        plain/3.png,narrow,holdout\n/dev/zero,wide,\nplain/4.png,wide,\nfile:///nowhere/5.png,wide,\nhttps://127.0.0.1:9/6.png,wide,\n";
    write(&at("table.csv"), table.as_bytes())?;
    let words = [
        "stored 3",
        "rejected 6",
        "table.csv:4",
        "9.png",
        "table.csv:5: no label",
        "`holdout`",
        "not a file",
        "/nowhere/5.png",
        "https://127.0.0.1:9/6.png",
    ];
    let rejects = at("rejects.jsonl");
    let flags = ["--rejects", &rejects.to_string_lossy()];
    let labelled = [("plain/0.png", "wide"), ("plain/1.png", "7"), ("plain/4.png", "wide")];
    import(&pair, "table", &at("table.csv"), &flags, (4, &words), &labelled)?;
    ensure!(stored(&pair, "table")?["plain/1.png"].1 == "validation", "the column of the splits counts");
    ensure!(fs::read_to_string(&rejects)?.lines().count() == 6, "every reject is in the file");
    write(&at("table.tsv"), b"where\twhat\nplain/0.png\twide\n")?;
    let flags = ["--path-column", "where", "--label-column", "what", "--split", "test"];
    import(&pair, "tabs", &at("table.tsv"), &flags, (0, &[]), &[("plain/0.png", "wide")])?;
    ensure!(stored(&pair, "tabs")?["plain/0.png"].1 == "test", "the flag says the split");
    expect(
        graft_on(&pair, &["import", "x", &at("table.tsv").to_string_lossy()])?,
        1,
        &["--path-column", "where, what"],
    )?;
    let lines = "{\"file_name\": \"plain/0.png\", \"label\": 3}\nnonsense\n{\"file_name\": \"plain/1.png\", \"label\": \"x\"}\n";
    write(&at("lines.jsonl"), lines.as_bytes())?;
    let labelled = [("plain/0.png", "3"), ("plain/1.png", "x")];
    import(&pair, "lines", &at("lines.jsonl"), &[], (4, &["rejected 1", "lines.jsonl:2"]), &labelled)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_parquet_and_tar() -> Result<()> {
    let (pair, folder, pictures) = (Pair::start().await?, TempDir::new()?, pictures()?);
    let at = |name: &str| folder.path().join(name);
    let pixels: Vec<u8> = (0..3 * 28 * 28).map(|n: u32| (n * n / 7 % 256) as u8).collect();
    forms::idx(&at("train-images-idx3-ubyte.gz"), &[3, 28, 28], &pixels)?;
    forms::idx(&at("train-labels-idx1-ubyte.gz"), &[3], &[4, 0, 4])?;
    let named = |name: &str| -> Vec<String> { (0..3).map(|index| format!("{name}[{index}]")).collect() };
    let ids = named("train-images-idx3-ubyte.gz");
    let labelled: Vec<(&str, &str)> = ids.iter().map(String::as_str).zip(["4", "0", "4"]).collect();
    import(&pair, "idx", &at("train-images-idx3-ubyte.gz"), &[], (0, &["stored 3"]), &labelled)?;
    forms::idx(&at("cut-images-idx3-ubyte.gz"), &[3, 28, 28], &pixels[..2 * 784 + 5])?;
    let labels = at("train-labels-idx1-ubyte.gz");
    let flags = ["--labels", &labels.to_string_lossy()];
    let words = ["stored 2", "rejected 1", "cut-images-idx3-ubyte.gz[2]", "too early"];
    let cut = named("cut-images-idx3-ubyte.gz");
    let labelled: Vec<(&str, &str)> = cut[..2].iter().map(String::as_str).zip(["4", "0"]).collect();
    import(&pair, "cut", &at("cut-images-idx3-ubyte.gz"), &flags, (4, &words), &labelled)?;
    let alone = at("cut-images-idx3-ubyte.gz");
    expect(graft_on(&pair, &["import", "x", &alone.to_string_lossy()])?, 1, &["--labels"])?;

    forms::npy(&at("x_train.npy"), &[3, 28, 28], &pixels)?;
    forms::npy(&at("y_train.npy"), &[3], &[-1i64, 12, 12])?;
    let ids = named("x_train.npy");
    let labelled: Vec<(&str, &str)> = ids.iter().map(String::as_str).zip(["-1", "12", "12"]).collect();
    import(&pair, "npy", &at("x_train.npy"), &[], (0, &[]), &labelled)?;
    forms::npy(&at("few.npy"), &[2], &[1u8, 2])?;
    let few = at("few.npy");
    let unequal =
        ["import", "x", &at("x_train.npy").to_string_lossy(), "--labels", &few.to_string_lossy()].map(str::to_owned);
    let unequal: Vec<&str> = unequal.iter().map(String::as_str).collect();
    expect(graft_on(&pair, &unequal)?, 1, &["3 images", "2 labels"])?;

    fs::create_dir(at("hf"))?;
    let mut rows: Vec<(Option<Bytes>, i64)> =
        pictures.iter().map(|(class, bytes)| (Some(bytes.clone()), i64::from(*class == "wide"))).collect();
    forms::parquet(&at("hf/test-00000-of-00001.parquet"), &["narrow", "wide"], &rows[4..])?;
    rows.truncate(4);
    rows.extend([(None, 0), (Some(pictures[4].1.clone()), 2), (Some(Bytes::from_static(b"no image")), 0)]);
    forms::parquet(&at("hf/train-00000-of-00001.parquet"), &["narrow", "wide"], &rows)?;
    let ids: Vec<String> = (1..5)
        .map(|row| format!("train-00000-of-00001.parquet:{row}"))
        .chain((1..3).map(|row| format!("test-00000-of-00001.parquet:{row}")))
        .collect();
    let labelled: Vec<(&str, &str)> = ids.iter().zip(&pictures).map(|(id, (class, _))| (id.as_str(), *class)).collect();
    let words = ["rejected 3", "parquet:5", "no bytes", "parquet:6", "label 2 is none of the 2", "parquet:7"];
    import(&pair, "hf", &at("hf"), &[], (4, &words), &labelled)?;
    for (id, (_, split)) in stored(&pair, "hf")? {
        ensure!(id.starts_with(&split), "{id} is in {split}");
    }
    let whole = fs::read(at("hf/train-00000-of-00001.parquet"))?;
    write(&at("cut.parquet"), &whole[..whole.len() / 2])?;
    expect(graft_on(&pair, &["import", "x", &at("cut.parquet").to_string_lossy()])?, 1, &["cut.parquet"])?;

    let picture = |index: usize| &pictures[index].1[..];
    let members: &[(&str, &[u8])] = &[
        ("a/0.png", picture(0)),
        ("a/0.cls", b"wide"),
        ("a/1.json", b"{\"label\": \"narrow\"}"),
        ("a/1.png", picture(1)),
        ("2.png", picture(2)),
        ("3.txt", b"wide"),
        ("../4.png", picture(4)),
        ("5.png", b"no image"),
        ("5.txt", b"wide"),
    ];
    forms::tar(&at("shard-000.tar.gz"), members)?;
    let words = ["stored 2", "rejected 4", "2: no label", "3: no image", "leads out", "5: "];
    let labelled = [("a/0", "wide"), ("a/1", "narrow")];
    import(&pair, "tarred", &at("shard-000.tar.gz"), &[], (4, &words), &labelled)?;
    let embedded = pair.extractor.metric("graft_extractor_images_total", "embedded").await?;
    ensure!(embedded <= 3.0 + 6.0, "each image is embedded once in all forms: {embedded}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_labels_an_image_and_a_dataset_that_changes() -> Result<()> {
    let (pair, folder, pictures) = (Pair::start().await?, TempDir::new()?, pictures()?);
    let at = |name: &str| folder.path().join(name);
    for (index, (_, bytes)) in pictures.iter().enumerate() {
        write(&at(&format!("{index}.png")), bytes)?;
    }
    write(&at("several.csv"), b"path,labels\n0.png,red; big\n1.png,red\n2.png,\n")?;
    let labelled = [("0.png", "big+red"), ("1.png", "red"), ("2.png", "")];
    import(&pair, "several", &at("several.csv"), &["--multi-label"], (0, &["stored 3"]), &labelled)?;
    expect(
        graft_on(&pair, &["train", "several", "--kind", "knn"])?,
        1,
        &["options.head_kind", "`several` is multi-label"],
    )?;
    expect(
        graft_on(&pair, &["dataset", "stats", "several"])?,
        0,
        &["several labels an image", "to which no label applies 1"],
    )?;

    write(
        &at("one.csv"),
        b"path,label\n0.png,wide\n1.png,narrow\n2.png,wide\n3.png,narrow\n4.png,wide\n5.png,narrow\n",
    )?;
    let one = at("one.csv").to_string_lossy().into_owned();
    expect(graft_on(&pair, &["import", "one", &one, "--split", "train"])?, 0, &["stored 6"])?;
    expect(graft_on(&pair, &["import", "one", &one, "--multi-label"])?, 1, &["--multi-label", "`one`"])?;
    let trained = graft_on(&pair, &["train", "one", "--output", "json"])?;
    ensure!(trained.0 == 0, "{trained:?}");
    let head: Value = serde_json::from_str(&trained.1)?;
    let before = expect(graft_on(&pair, &["dataset", "snapshot", "one"])?, 0, &["6 examples"])?;
    let id = before.split(':').next().context("an id")?;
    expect(graft_on(&pair, &["dataset", "snapshots", "one"])?, 0, &[id])?;

    fs::copy(at("0.png"), at("copy.png"))?;
    write(&at("more.csv"), b"path,label\ncopy.png,narrow\n1.png,narrow\n")?;
    let more = at("more.csv").to_string_lossy().into_owned();
    expect(graft_on(&pair, &["import", "one", &more])?, 4, &["copy.png", "`narrow`", "`wide`"])?;
    expect(graft_on(&pair, &["dataset", "stats", "one"])?, 0, &["with several labels 1", "copy.png as narrow"])?;
    let words = ["relabelled 1", "failed 1", "nobody.png", "does not exist"];
    expect(graft_on(&pair, &["dataset", "relabel", "one", "0.png", "nobody.png", "--label", "narrow"])?, 4, &words)?;
    expect(graft_on(&pair, &["dataset", "stats", "one"])?, 0, &["with several labels 0", "under several ids 1"])?;
    expect(graft_on(&pair, &["dataset", "remove", "one", "2.png", "4.png"])?, 0, &["removed 2"])?;
    let now = stored(&pair, "one")?;
    ensure!(now.len() == 4 && now.values().all(|(label, _)| label == "narrow"), "{now:?}");
    expect(graft_on(&pair, &["train", "one"])?, 1, &["one class"])?;

    let again = graft_on(&pair, &["train", "one", "--snapshot", id, "--output", "json"])?;
    ensure!(again.0 == 0, "{again:?}");
    let refitted: Value = serde_json::from_str(&again.1)?;
    ensure!(refitted["labels"] == head["labels"] && refitted["version"] == 2, "what was there then is fitted on again");
    expect(graft_on(&pair, &["train", "one", "--snapshot", "0"])?, 1, &["snapshot `0` does not exist"])?;
    Ok(())
}
