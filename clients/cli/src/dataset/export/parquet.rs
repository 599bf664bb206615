//! Parquet, a group of rows at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, bail};
use graft_client::proto::{ExportedDataset, ExportedRows, StoredExample};
use parquet::{
    basic::{Compression, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, FloatType},
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};

use super::{Sink, split_name};
use crate::whole::WholeFile;

/// Bytes of embeddings in a group of rows, about.
const GROUP_BYTES: usize = 32 << 20;
/// The path of the numbers of embeddings.
const NUMBERS: [&str; 3] = ["embedding", "list", "element"];

/// A file that is being written.
pub struct Parquet {
    writer: SerializedFileWriter<WholeFile>,
    place: PathBuf,
    dimension: usize,
    several: bool,
    /// Rows of the group that comes next, and their embeddings.
    examples: Vec<StoredExample>,
    embeddings: Vec<f32>,
}

impl Parquet {
    /// Begin a file at `place`.
    pub fn new(place: &Path, dataset: &ExportedDataset) -> Result<Parquet> {
        let file = WholeFile::new(place)?;
        let labels = if dataset.multi_label {
            "required group labels (LIST) { repeated group list { required binary element (STRING); } }"
        } else {
            "required binary label (STRING);"
        };
        let schema = parse_message_type(&format!(
            "message dataset {{
                required binary id (STRING);
                required binary hash (STRING);
                {labels}
                required binary split (STRING);
                required group embedding (LIST) {{ repeated group list {{ required float element; }} }}
            }}"
        ))?;
        let note = |key: &str, value: String| KeyValue::new(format!("graft.{key}"), value);
        let notes = vec![
            note("dataset", dataset.name.clone()),
            note("snapshot", dataset.snapshot.clone()),
            note("backbone", dataset.backbone.clone()),
            note("space", dataset.space.clone()),
            note("dimension", dataset.dimension.to_string()),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // No two numbers are the same: a dictionary of them would be as long as they are.
            .set_column_dictionary_enabled(ColumnPath::from(NUMBERS.map(str::to_owned).to_vec()), false)
            .set_key_value_metadata(Some(notes))
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let (place, dimension, several) = (place.to_owned(), dataset.dimension as usize, dataset.multi_label);
        Ok(Parquet { writer, place, dimension, several, examples: Vec::new(), embeddings: Vec::new() })
    }

    /// Write the group of rows that is there.
    fn group(&mut self) -> Result<()> {
        let (examples, embeddings) = (std::mem::take(&mut self.examples), std::mem::take(&mut self.embeddings));
        if examples.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let text = |value: fn(&StoredExample) -> &str| examples.iter().map(value).map(ByteArray::from).collect();
        texts(&mut group, text(|example| &example.id), None)?;
        texts(&mut group, text(|example| &example.hash), None)?;
        if self.several {
            let lists: Vec<usize> = examples.iter().map(|example| example.labels.len()).collect();
            let labels =
                examples.iter().flat_map(|example| &example.labels).map(|label| ByteArray::from(label.as_str()));
            texts(&mut group, labels.collect(), Some(Levels::of(&lists)))?;
        } else {
            texts(&mut group, text(|example| example.labels.first().map_or("", String::as_str)), None)?;
        }
        texts(&mut group, text(|example| split_name(example.split())), None)?;
        let levels = Levels::of(&vec![self.dimension; examples.len()]);
        let mut column = column(&mut group)?;
        column.typed::<FloatType>().write_batch(&embeddings, Some(&levels.there), Some(&levels.first))?;
        column.close()?;
        group.close()?;
        Ok(())
    }
}

impl Sink for Parquet {
    fn write(&mut self, rows: &ExportedRows) -> Result<()> {
        self.examples.extend_from_slice(&rows.examples);
        let numbers = rows.embeddings.as_chunks::<4>().0.iter();
        self.embeddings.extend(numbers.map(|four| f32::from_le_bytes(*four)));
        if self.embeddings.len() * size_of::<f32>() >= GROUP_BYTES { self.group() } else { Ok(()) }
    }

    fn put(mut self: Box<Self>) -> Result<Vec<PathBuf>> {
        self.group()?;
        self.writer.into_inner()?.put()?;
        Ok(vec![self.place])
    }
}

/// How Parquet says where lists begin.
struct Levels {
    /// 1 for an element, 0 for an empty list.
    there: Vec<i16>,
    /// 0 for the first of a list, 1 for the others.
    first: Vec<i16>,
}

impl Levels {
    /// Of lists of these lengths.
    fn of(lengths: &[usize]) -> Levels {
        let slots = || lengths.iter().flat_map(|length| (0..(*length).max(1)).map(move |at| (at, *length)));
        Levels {
            there: slots().map(|(_, length)| i16::from(length > 0)).collect(),
            first: slots().map(|(at, _)| i16::from(at > 0)).collect(),
        }
    }
}

fn texts(
    group: &mut SerializedRowGroupWriter<'_, WholeFile>,
    values: Vec<ByteArray>,
    levels: Option<Levels>,
) -> Result<()> {
    let mut column = column(group)?;
    let (there, first) =
        levels.as_ref().map_or((None, None), |levels| (Some(&levels.there[..]), Some(&levels.first[..])));
    column.typed::<ByteArrayType>().write_batch(&values, there, first)?;
    Ok(column.close()?)
}

fn column<'a>(group: &'a mut SerializedRowGroupWriter<'_, WholeFile>) -> Result<SerializedColumnWriter<'a>> {
    match group.next_column()? {
        Some(column) => Ok(column),
        None => bail!("the file has fewer columns than were begun"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use graft_client::proto::Split;
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };

    use super::*;

    fn written(several: bool, labels: &[&[&str]]) -> SerializedFileReader<File> {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().join("pets.parquet");
        let dataset =
            ExportedDataset { dimension: 2, multi_label: several, space: "net@0".into(), ..Default::default() };
        let mut file = Parquet::new(&place, &dataset).unwrap();
        for (at, labels) in labels.iter().enumerate() {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let (id, split) = (at.to_string(), Split::Validation as i32);
            let examples = vec![StoredExample { id, labels, split, ..Default::default() }];
            let embeddings = [at as f32, 0.5].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>().into();
            file.write(&ExportedRows { examples, embeddings }).unwrap();
            // A group of its own for each row.
            file.group().unwrap();
        }
        assert!(!place.exists());
        Box::new(file).put().unwrap();
        SerializedFileReader::new(File::open(place).unwrap()).unwrap()
    }

    #[test]
    fn rows_come_back_with_their_labels_and_embeddings() {
        let file = written(false, &[&["cat"], &["dog"]]);
        let notes = file.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(notes.iter().any(|note| note.key == "graft.space" && note.value.as_deref() == Some("net@0")));
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].get_string(0).unwrap().as_str(), rows[1].get_string(2).unwrap().as_str()), ("1", "dog"));
        assert_eq!(rows[1].get_string(3).unwrap(), "validation");
        assert_eq!(format!("{}", rows[1].get_list(4).unwrap().elements()[0]), "1.0");
    }

    #[test]
    fn a_list_of_labels_may_be_empty() {
        let file = written(true, &[&["a", "b"], &[], &["c"]]);
        let lists = file.get_row_iter(None).unwrap().map(|row| row.unwrap().get_list(2).unwrap().len());
        assert_eq!(lists.collect::<Vec<_>>(), [2, 0, 1]);
    }

    #[test]
    fn an_empty_dataset_is_an_empty_file() {
        assert_eq!(written(false, &[]).metadata().file_metadata().num_rows(), 0);
    }
}
