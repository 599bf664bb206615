//! Parquet with an image column, as Hugging Face's datasets have it: `image` is `{bytes, path}`, or bytes alone, and the
//! names of the classes are in the file's metadata.

use std::{fs::File, path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow};
use graft_client::proto::{Example, Split};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{
        Field, Row,
        reader::{ReaderIter, TreeBuilder},
    },
    schema::types::{SchemaDescriptor, Type},
};
use serde_json::Value;

use super::{
    manifest::Columns,
    piece::{MOST_BYTES, Read, Rejected, encoded},
    text,
};

/// The key of the file's metadata where Hugging Face keeps what the columns are.
const METADATA: &str = "huggingface";
/// Rows that are decoded together: each may hold an image.
const BATCH: usize = 4;
/// Names that the columns have, best first.
const IMAGES: [&str; 3] = ["image", "img", "picture"];
const LABELS: [&str; 5] = ["label", "labels", "class", "target", "fine_label"];

/// The rows of a file, one after the other.
pub struct Parquet {
    name: String,
    file: SerializedFileReader<File>,
    descriptor: Arc<SchemaDescriptor>,
    /// The group of rows that comes next, and the rows of the one that is being read.
    group: usize,
    rows: Option<ReaderIter>,
    row: u64,
    image: String,
    /// Empty of images without labels.
    label: String,
    /// The names of the classes, where the labels are numbers that stand for them.
    classes: Vec<String>,
    split: Split,
    several: bool,
}

impl Parquet {
    /// Open a file. `several`: labels are lists.
    pub fn open(path: &Path, columns: &Columns, split: Split, several: bool) -> Result<Parquet> {
        let cannot = || format!("cannot read {}", path.display());
        let file = SerializedFileReader::new(File::open(path).with_context(cannot)?).with_context(cannot)?;
        let schema = file.metadata().file_metadata().schema();
        let find = |told: &Option<String>, usual: &[&str], flag: &str| {
            let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
            let found = match told {
                Some(name) => names.iter().find(|column| *column == name),
                None => usual.iter().find_map(|name| names.iter().find(|column| *column == name)),
            };
            found.map(|name| (*name).to_owned()).ok_or_else(|| {
                anyhow!("{}: no such column; there are {}: name it by {flag}", path.display(), names.join(", "))
            })
        };
        let image = find(&columns.path, &IMAGES, "--path-column")?;
        let label = match columns.unlabelled {
            true => String::new(),
            false => find(&columns.label, &LABELS, "--label-column")?,
        };
        let wanted = schema.get_fields().iter().filter(|field| [image.as_str(), &label].contains(&field.name()));
        let projection = Type::group_type_builder(schema.name()).with_fields(wanted.cloned().collect()).build()?;
        let descriptor = Arc::new(SchemaDescriptor::new(Arc::new(projection)));
        let classes = classes(&file, &label);
        let name = text::name(path);
        Ok(Parquet { name, file, descriptor, group: 0, rows: None, row: 0, image, label, classes, split, several })
    }

    /// How many rows there are.
    pub fn total(&self) -> u64 {
        self.file.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// The next row; a group that cannot be read is left out as a whole.
    fn next_row(&mut self) -> Option<Result<Row, String>> {
        loop {
            match self.rows.as_mut().and_then(Iterator::next) {
                Some(Ok(row)) => return Some(Ok(row)),
                Some(Err(error)) => {
                    self.rows = None;
                    return Some(Err(format!("the rest of row group {} cannot be read: {error}", self.group)));
                }
                None if self.group >= self.file.metadata().num_row_groups() => return None,
                None => {
                    self.group += 1;
                    let before = &self.file.metadata().row_groups()[..self.group - 1];
                    self.row = before.iter().map(|group| group.num_rows().max(0) as u64).sum();
                    let rows = self.file.get_row_group(self.group - 1).and_then(|group| {
                        TreeBuilder::new().with_batch_size(BATCH).as_iter(self.descriptor.clone(), &*group)
                    });
                    match rows {
                        Ok(rows) => self.rows = Some(rows),
                        Err(error) => return Some(Err(format!("row group {} cannot be read: {error}", self.group))),
                    }
                }
            }
        }
    }

    fn example(&self, id: String, row: Row) -> Result<Example, String> {
        let mut columns = row.into_columns();
        let mut take = |name: &str| {
            let at = columns.iter().position(|(column, _)| column == name);
            at.map_or(Field::Null, |at| columns.swap_remove(at).1)
        };
        let bytes = self.bytes(take(&self.image))?;
        if self.split == Split::Unlabelled {
            return Ok(encoded(id, String::new(), self.split, bytes));
        }
        let label = take(&self.label);
        if self.several {
            let labels = match label {
                Field::ListInternal(list) => {
                    list.elements().iter().map(|label| self.name_of(label)).collect::<Result<_, _>>()?
                }
                Field::Null => Vec::new(),
                one => vec![self.name_of(&one)?],
            };
            return Ok(Example { labels, ..encoded(id, String::new(), self.split, bytes) });
        }
        let label = match label {
            Field::ListInternal(list) if list.len() == 1 => self.name_of(&list.elements()[0])?,
            Field::ListInternal(list) => {
                return Err(format!(
                    "{} labels; a dataset has one label an image unless it is made with --multi-label",
                    list.len()
                ));
            }
            one => self.name_of(&one)?,
        };
        Ok(encoded(id, label, self.split, bytes))
    }

    fn bytes(&self, image: Field) -> Result<Vec<u8>, String> {
        let bytes = match image {
            Field::Group(row) => {
                row.into_columns().into_iter().find(|(name, _)| name == "bytes").map(|(_, bytes)| bytes)
            }
            other => Some(other),
        };
        match bytes {
            Some(Field::Bytes(bytes)) if bytes.len() as u64 <= MOST_BYTES => Ok(bytes.data().to_vec()),
            Some(Field::Bytes(bytes)) => Err(format!("{} bytes; at most {MOST_BYTES} are accepted", bytes.len())),
            _ => Err(format!(
                "`{}` holds no bytes; images are read from the file itself, not from elsewhere",
                self.image
            )),
        }
    }

    fn name_of(&self, label: &Field) -> Result<String, String> {
        let number = match label {
            Field::Null => return Err("no label".into()),
            Field::Str(text) => return Ok(text.trim().to_owned()),
            Field::Bool(yes) => return Ok(yes.to_string()),
            Field::Byte(number) => i64::from(*number),
            Field::Short(number) => i64::from(*number),
            Field::Int(number) => i64::from(*number),
            Field::Long(number) => *number,
            Field::UByte(number) => i64::from(*number),
            Field::UShort(number) => i64::from(*number),
            Field::UInt(number) => i64::from(*number),
            _ => return Err(format!("`{}` holds no label; text and whole numbers are accepted", self.label)),
        };
        if self.classes.is_empty() {
            return Ok(number.to_string());
        }
        let name = usize::try_from(number).ok().and_then(|number| self.classes.get(number));
        name.cloned().ok_or_else(|| format!("label {number} is none of the {} classes of the file", self.classes.len()))
    }
}

/// The names of the classes: of `ClassLabel`, or of a list of them.
fn classes(file: &SerializedFileReader<File>, label: &str) -> Vec<String> {
    let metadata = file.metadata().file_metadata().key_value_metadata();
    let text = metadata
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == METADATA))
        .and_then(|pair| pair.value.as_deref());
    let Some(feature) = text
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .and_then(|value| value.pointer("/info/features").and_then(|features| features.get(label)).cloned())
    else {
        return Vec::new();
    };
    let named = [feature.get("names"), feature.pointer("/feature/names"), feature.pointer("/0/names")];
    let names = named.into_iter().flatten().find_map(Value::as_array);
    names.map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()).unwrap_or_default()
}

impl Iterator for Parquet {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        let row = self.next_row()?;
        self.row += 1;
        let place = format!("{}:{}", self.name, self.row);
        Some(row.and_then(|row| self.example(place.clone(), row)).map_err(|reason| Rejected::new(place, reason)))
    }
}

/// Whether a file begins as Parquet does.
pub fn begins(head: &[u8]) -> bool {
    head.starts_with(b"PAR1")
}
