//! The forms of input: which there are, how each is known, and how it is opened.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use graft_client::proto::Split;

use super::{
    arrays::{Arrays, Kind, idx, npy},
    folder::Folder,
    manifest::{Columns, Rules, lines::Lines, table::Table},
    parquet::{self, Parquet},
    piece::{Found, Piece, Reader, here, split_of},
    rows::{self, Rows},
    text,
    webdataset::{self, Tar},
    zip::Zip,
};

/// Bytes of a file that are looked at to know its form: enough for tar's first heading and a line of pixels.
const HEAD: u64 = 1 << 16;

/// A form of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A folder with a sub-folder a class; train, val and test may be above the classes.
    Folder,
    /// A table of paths or URIs with labels, separated by commas.
    Csv,
    /// A table of paths or URIs with labels, separated by tabs.
    Tsv,
    /// JSON lines with paths or URIs and labels.
    Jsonl,
    /// Rows of pixels as CSV: a label and the pixels of a square grey image.
    Rows,
    /// Images and labels as IDX, the format of MNIST.
    Idx,
    /// Images and labels as NumPy arrays.
    Npy,
    /// Parquet with an image column, as Hugging Face has it.
    Parquet,
    /// Tar with `key.jpg` and `key.cls`, `key.json` or `key.txt`.
    Webdataset,
    /// A zip of a folder with a sub-folder a class.
    Zip,
}

/// How an input is to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The form; looked for unless told.
    pub format: Option<Format>,
    /// The split of all; as the input says unless told. Labels are neither needed nor taken of what is unlabelled.
    pub split: Option<Split>,
    /// The columns of tables.
    pub columns: Columns,
    /// The file of the labels, for arrays.
    pub labels: Option<PathBuf>,
    /// For a multi-label dataset: what separates labels in one text.
    pub separator: Option<String>,
}

/// An input that was opened.
pub struct Input {
    /// Its examples, one after the other.
    pub reader: Reader,
    /// How many there are, if that is known.
    pub total: Option<u64>,
}

impl Reading {
    /// Open the input at `path`.
    ///
    /// # Errors
    /// What is wrong with the input as a whole; a piece that is wrong is an item of the reader.
    pub fn open(&self, path: &Path) -> Result<Input> {
        let Input { reader, total } = self.open_any(path)?;
        if self.split != Some(Split::Unlabelled) {
            return Ok(Input { reader, total });
        }
        Ok(Input { reader: Box::new(reader.map(|found| found.map(Piece::without_labels))), total })
    }

    fn open_any(&self, path: &Path) -> Result<Input> {
        let kind = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_dir() {
            let shards = shards(path)?;
            if !shards.is_empty() && self.format != Some(Format::Folder) {
                return Ok(self.open_shards(shards));
            }
        }
        match self.format {
            Some(format) => self.open_as(format, path, self.split),
            None => self.open_as(known(path)?, path, self.split),
        }
    }

    fn open_as(&self, format: Format, path: &Path, split: Option<Split>) -> Result<Input> {
        let one = split.unwrap_or(Split::Unspecified);
        let rules = || Rules { folder: PathBuf::new(), split, separator: self.separator.clone() };
        let arrays = |kind| Arrays::open(kind, path, self.labels.as_deref(), one);
        let (total, reader): (Option<u64>, Reader) = match format {
            Format::Folder => {
                let folder = Folder::open(path, split)?;
                (Some(folder.total()), here(folder))
            }
            Format::Csv => (None, Box::new(Table::open(path, b',', &self.columns, rules())?)),
            Format::Tsv => (None, Box::new(Table::open(path, b'\t', &self.columns, rules())?)),
            Format::Jsonl => (None, Box::new(Lines::open(path, &self.columns, rules())?)),
            Format::Rows => (None, here(Rows::open(path, one)?)),
            Format::Idx | Format::Npy => {
                let arrays = arrays(if format == Format::Idx { Kind::Idx } else { Kind::Npy })?;
                (Some(arrays.total()), here(arrays))
            }
            Format::Parquet => {
                let rows = Parquet::open(path, &self.columns, one, self.separator.is_some())?;
                (Some(rows.total()), here(rows))
            }
            Format::Webdataset => {
                (None, here(Tar::open(path, self.columns.label.clone(), one, self.separator.clone())?))
            }
            Format::Zip => {
                let zip = Zip::open(path, split)?;
                (Some(zip.total()), here(zip))
            }
        };
        Ok(Input { reader, total })
    }

    /// The files of a folder, one after the other; each is opened when its turn comes. One that cannot be opened is a piece
    /// that is wrong.
    fn open_shards(&self, shards: Vec<PathBuf>) -> Input {
        let reading = self.clone();
        let examples = shards.into_iter().flat_map(move |path| -> Reader {
            let split = reading.split.or_else(|| named_split(&path));
            let opened = known(&path).and_then(|format| reading.open_as(format, &path, split));
            match opened {
                Ok(input) => input.reader,
                Err(error) => {
                    let bad = super::piece::Rejected::new(text::name(&path), format!("{error:#}"));
                    Box::new(std::iter::once::<Found>(Err(bad)))
                }
            }
        });
        Input { reader: Box::new(examples), total: None }
    }
}

/// The split that a shard's name begins with, as in `train-00000-of-00002.parquet`.
fn named_split(path: &Path) -> Option<Split> {
    text::name(path).split(|c: char| !c.is_ascii_alphabetic()).next().and_then(split_of)
}

/// The files of a folder that each hold many examples, sorted; none if it holds folders of images.
fn shards(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = text::name(&path);
        let ends = [".parquet", ".tar", ".tar.gz", ".tgz", ".zip"];
        if path.is_file() && !name.starts_with('.') && ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The form of what is at `path`: by its first bytes, else by its name.
fn known(path: &Path) -> Result<Format> {
    if path.is_dir() {
        return Ok(Format::Folder);
    }
    let head = text::head(path, HEAD)?;
    let name = text::name(path).to_ascii_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    Ok(match head.as_slice() {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Format::Zip,
        head if parquet::begins(head) => Format::Parquet,
        head if head.starts_with(npy::MAGIC) => Format::Npy,
        head if webdataset::begins(head) => Format::Webdataset,
        head if idx::begins(head) => Format::Idx,
        _ if plain.ends_with(".tsv") || plain.ends_with(".tab") => Format::Tsv,
        _ if [".jsonl", ".ndjson", ".json"].iter().any(|end| plain.ends_with(end)) => Format::Jsonl,
        _ if plain.ends_with(".parquet") => Format::Parquet,
        _ if plain.ends_with(".zip") => Format::Zip,
        _ if plain.ends_with(".tar") || plain.ends_with(".tgz") => Format::Webdataset,
        _ if plain.ends_with(".npy") => Format::Npy,
        head if plain.ends_with(".csv") || std::str::from_utf8(head).is_ok() => of_table(head),
        _ => bail!("{}: its form is not known; name it by --format", path.display()),
    })
}

/// Whether a table holds pixels or paths.
fn of_table(head: &[u8]) -> Format {
    let mut records = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(head).into_records();
    match records.next() {
        Some(Ok(first)) if rows::begin(&first) => Format::Rows,
        _ => Format::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlabelled_images_need_no_labels_and_get_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            path
        };
        for name in ["in/1.jpg", "in/cat/2.jpg", "in/test/dog/3.png", "in/notes.txt"] {
            write(name, name.as_bytes());
        }
        let reading = Reading {
            split: Some(Split::Unlabelled),
            columns: Columns { unlabelled: true, ..Columns::default() },
            ..Reading::default()
        };
        let ids = |path: &Path| -> Vec<String> {
            let found = reading.open(path).unwrap().reader.map(|found| match found.unwrap() {
                Piece::Here(example) => example,
                other => panic!("{other:?}"),
            });
            let check = |example: graft_client::proto::Example| {
                assert!(example.split() == Split::Unlabelled && example.label.is_empty() && example.labels.is_empty());
                example.id
            };
            found.map(check).collect()
        };
        assert_eq!(ids(&folder.path().join("in")), ["1.jpg", "cat/2.jpg", "test/dog/3.png"]);
        assert_eq!(ids(&write("a.csv", b"path\nin/1.jpg\n")), ["in/1.jpg"]);
        assert_eq!(ids(&write("b.csv", b"path,label,split\nin/1.jpg,cat,holdout\n")), ["in/1.jpg"]);
        assert_eq!(ids(&write("bare.csv", b"in/1.jpg\nin/cat/2.jpg\n")), ["in/1.jpg", "in/cat/2.jpg"]);
        assert_eq!(ids(&write("c.jsonl", b"{\"path\": \"in/1.jpg\"}\n")), ["in/1.jpg"]);
        assert_eq!(ids(&write("rows.csv", b"9,0,1,2,3\n")), ["rows.csv:1"]);
        assert_eq!(ids(&write("images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7])).len(), 1);
    }

    #[test]
    fn forms_are_known_by_their_first_bytes_before_their_names() {
        let folder = tempfile::TempDir::new().unwrap();
        let form = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            known(&path).ok()
        };
        assert_eq!(form("a.csv", b"label,pixel1,pixel2,pixel3,pixel4\n"), Some(Format::Rows));
        assert_eq!(form("a.csv", b"9,0,1,abc,3,4\n"), Some(Format::Rows));
        assert_eq!(form("a.csv", b"path,label\n"), Some(Format::Csv));
        assert_eq!(form("a.csv", b"a.jpg,7\n"), Some(Format::Csv));
        assert_eq!(form("a.csv", b"PK\x03\x04"), Some(Format::Zip));
        assert_eq!(form("a.tsv", b"path\tlabel\n"), Some(Format::Tsv));
        assert_eq!(form("a.ndjson", b"{}"), Some(Format::Jsonl));
        assert_eq!(form("t10k-images-idx3-ubyte", &[0, 0, 8, 3, 0]), Some(Format::Idx));
        assert_eq!(form("a.bin", b"PAR1"), Some(Format::Parquet));
        assert_eq!(form("a.bin", b"\xff\xfe\xfd"), None);
        assert_eq!(known(folder.path()).ok(), Some(Format::Folder));
        assert_eq!(named_split(Path::new("x/train-00000-of-00002.parquet")), Some(Split::Train));
        assert_eq!(named_split(Path::new("x/trains.parquet")), None);
    }
}
