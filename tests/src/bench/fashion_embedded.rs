//! All of Fashion-MNIST, embedded once by a real extractor with its default backbone and kept under `target/`.
//!
//! The images are those of Debian's package `dataset-fashion-mnist`, installed or fetched. The embeddings are kept in files of
//! [`CHUNK`] rows, in a folder named for the embedding space: what was broken off goes on where it stopped, and another backbone
//! gets a folder of its own.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use graft_proto::v1::GetBackboneRequest;

use crate::{
    calls::{extract, floats},
    fashion::Row,
    services::{Service, root},
};

/// Images embedded and written at once.
const CHUNK: usize = 2000;
/// Bytes before the pixels and before the labels of an IDX file.
const PIXELS_START: usize = 16;
const LABELS_START: usize = 8;
/// Pixels of an image.
const PIXELS: usize = 28 * 28;

/// One of the two parts that Fashion-MNIST comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 60,000 images.
    Train,
    /// 10,000 images.
    Test,
}

/// Embeddings and their classes, on disk.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Where they are.
    pub folder: PathBuf,
    /// Little-endian f32 `[rows, dimension]`, in order.
    pub files: Vec<PathBuf>,
    /// One byte a row.
    pub labels: PathBuf,
    /// Numbers in an embedding.
    pub dimension: usize,
}

/// The first `rows` rows of a part; embedded now if they have not been. A whole number of chunks.
pub async fn embedded(part: Part, rows: usize) -> Result<Embedded> {
    ensure!(rows.is_multiple_of(CHUNK), "{rows} rows are no whole number of {CHUNK}");
    let extractor = Service::extractor(&[]).await?;
    let mut client = extractor.extractor_client().await?;
    let backbone = client.get_backbone(GetBackboneRequest::default()).await?.into_inner().backbone;
    let backbone = backbone.context("a backbone")?;
    let folder = cache().join(backbone.space.replace('@', "-"));
    fs::create_dir_all(&folder)?;
    let missing = |chunk: &usize| !file(&folder, part, *chunk).exists();
    let todo: Vec<usize> = (0..rows / CHUNK).filter(missing).collect();
    if !todo.is_empty() {
        let images = rows_of(part)?;
        for chunk in todo {
            eprintln!("embedding {part:?} rows {} to {} (once)", chunk * CHUNK, (chunk + 1) * CHUNK);
            write_chunk(&extractor, &images[chunk * CHUNK..(chunk + 1) * CHUNK], &file(&folder, part, chunk)).await?;
        }
    }
    let labels = labels_file(&folder, part);
    if !labels.exists() {
        fs::write(&labels, labels_of(part)?)?;
    }
    Embedded::open(&folder, part, rows, backbone.dimension as usize)
}

impl Embedded {
    /// The first `rows` rows of a part, which were embedded before into `folder`.
    pub fn open(folder: &Path, part: Part, rows: usize, dimension: usize) -> Result<Embedded> {
        let files: Vec<PathBuf> = (0..rows / CHUNK).map(|chunk| file(folder, part, chunk)).collect();
        Ok(Embedded { folder: folder.to_owned(), files, labels: labels_file(folder, part), dimension })
    }

    /// All numbers, `[rows, dimension]`, and the class of each row.
    pub fn read(&self) -> Result<(Vec<f32>, Vec<u32>)> {
        let mut numbers = Vec::with_capacity(self.files.len() * CHUNK * self.dimension);
        for file in &self.files {
            numbers.extend(floats(&fs::read(file)?));
        }
        let rows = numbers.len() / self.dimension;
        let labels = fs::read(&self.labels)?;
        ensure!(labels.len() >= rows, "{} labels for {rows} rows", labels.len());
        Ok((numbers, labels[..rows].iter().map(|label| u32::from(*label)).collect()))
    }
}

fn file(folder: &Path, part: Part, chunk: usize) -> PathBuf {
    folder.join(format!("{part:?}-{chunk:02}.f32"))
}

fn labels_file(folder: &Path, part: Part) -> PathBuf {
    folder.join(format!("{part:?}-labels.u8"))
}

async fn write_chunk(extractor: &Service, rows: &[Row], file: &Path) -> Result<()> {
    let items = rows.iter().enumerate().map(|(index, row)| (index.to_string(), row.image())).collect();
    let mut found = extract(extractor, Default::default(), items).await?;
    let mut bytes = Vec::new();
    for index in 0..rows.len() {
        let row = found.remove(&index.to_string()).context("an answer for each image")?;
        let row = row.map_err(|error| anyhow::anyhow!("row {index}: {}", error.message))?;
        bytes.extend(row.iter().flat_map(|number| number.to_le_bytes()));
    }
    // A file that is there is whole.
    let part = file.with_extension("part");
    fs::write(&part, bytes)?;
    Ok(fs::rename(part, file)?)
}

fn cache() -> PathBuf {
    root().join("target/fashion-mnist")
}

fn rows_of(part: Part) -> Result<Vec<Row>> {
    let pixels = idx(part, "images")?;
    let labels = labels_of(part)?;
    let pixels = pixels.get(PIXELS_START..).context("an IDX file of images")?;
    ensure!(pixels.len() == labels.len() * PIXELS, "{} pixels for {} labels", pixels.len(), labels.len());
    let images = pixels.chunks_exact(PIXELS).zip(&labels);
    Ok(images.map(|(image, label)| Row { label: label.to_string(), pixels: image.to_vec().into() }).collect())
}

fn labels_of(part: Part) -> Result<Vec<u8>> {
    Ok(idx(part, "labels")?.get(LABELS_START..).context("an IDX file of labels")?.to_vec())
}

/// A file of the package, unpacked.
fn idx(part: Part, kind: &str) -> Result<Vec<u8>> {
    let start = format!("{}-{kind}", if part == Part::Train { "train" } else { "t10k" });
    let named = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
    let path = package()?.into_iter().find(|path| named(path)).with_context(|| format!("no {start} in the package"))?;
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(&path)?).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    Ok(bytes)
}

/// The files of the package: where it is installed, or else fetched into the cache, which needs no rights.
fn package() -> Result<Vec<PathBuf>> {
    const NAME: &str = "dataset-fashion-mnist";
    if let Ok(listed) = Command::new("dpkg").args(["-L", NAME]).output()
        && listed.status.success()
    {
        return Ok(String::from_utf8(listed.stdout)?.lines().map(PathBuf::from).collect());
    }
    let folder = cache().join("package");
    if !folder.exists() {
        fs::create_dir_all(cache())?;
        let fetched = tempfile::TempDir::new_in(cache())?;
        run(Command::new("apt-get").args(["download", "-qq", NAME]).current_dir(fetched.path()))?;
        let deb = fs::read_dir(fetched.path())?.next().context("a package")??.path();
        let unpacked = fetched.path().join("unpacked");
        run(Command::new("dpkg").arg("-x").args([&deb, &unpacked]))?;
        fs::rename(unpacked, &folder)?;
    }
    walk(&folder)
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(walk(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
