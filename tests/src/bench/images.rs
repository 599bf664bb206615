//! What the benchmarks embed: rows of Fashion-MNIST, and JPEGs of 500 × 375.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use graft_extractor::decode::{RawPixels, Source};
use graft_proto::v1::{Image, image};

use crate::{fashion, pictures::encoded, services::root};

/// `count` rows of 28 × 28, those of the sample over and over.
pub fn rows(count: usize) -> Result<Vec<Image>> {
    Ok(fashion::train()?.iter().cycle().take(count).map(fashion::Row::image).collect())
}

/// `count` JPEGs, cut from the committed photos.
pub fn jpegs(count: usize) -> Result<Vec<Bytes>> {
    let folder = tempfile::TempDir::new()?;
    python("jpegs.py", &[folder.path(), Path::new(&count.to_string())])?;
    let files = files(folder.path())?;
    ensure!(files.len() == count, "{} JPEGs instead of {count}", files.len());
    Ok(files)
}

/// The files of a folder, in the order of their names.
pub fn files(folder: &Path) -> Result<Vec<Bytes>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(|path| Ok(std::fs::read(path)?.into())).collect()
}

/// The same, as images of the wire.
pub fn photos(count: usize) -> Result<Vec<Image>> {
    Ok(jpegs(count)?.into_iter().map(encoded).collect())
}

/// An image of the wire as the extractor's modules take it.
pub fn source(image: &Image) -> Result<Source> {
    match image.source.clone().context("an image")? {
        image::Source::Encoded(bytes) => Ok(Source::Encoded(bytes)),
        image::Source::Pixels(image) => Ok(Source::Pixels(RawPixels {
            height: image.height,
            width: image.width,
            channels: image.channels,
            data: image.data,
        })),
        image::Source::Uri(uri) => bail!("{uri} is not at hand"),
    }
}

/// Run a script of this folder to its end.
pub fn python(script: &str, arguments: &[&Path]) -> Result<()> {
    let mut command = command(script)?;
    let output = command.args(arguments).output()?;
    if !output.status.success() {
        bail!("{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A script of this folder, by the Python that `make venv` sets up.
pub fn command(script: &str) -> Result<Command> {
    let python = root().join(".venv/bin/python");
    ensure!(python.exists(), "there is no {}; `make venv` makes it", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/src/bench").join(script));
    Ok(command)
}
