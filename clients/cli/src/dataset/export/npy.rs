//! NumPy's `.npy`, and a table of what its rows are.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use graft_client::proto::{ExportedDataset, ExportedRows};
use npyz::{AutoSerialize, WriteOptions, WriterBuilder};
use serde_json::Value;

use super::{Sink, split_name};
use crate::whole::WholeFile;

/// Both files, which are put in their places when both are whole.
pub struct Npy {
    numbers: WholeFile,
    labels: csv::Writer<WholeFile>,
    places: [PathBuf; 2],
    several: bool,
}

impl Npy {
    /// Begin a file at `place`, and the table beside it.
    pub fn new(place: &Path, dataset: &ExportedDataset) -> Result<Npy> {
        let places = [place.to_owned(), place.with_extension("labels.csv")];
        let mut numbers = WholeFile::new(&places[0])?;
        let shape = [dataset.row_count, u64::from(dataset.dimension)];
        let heading = WriteOptions::new_header_only().dtype(f32::default_dtype()).shape(&shape);
        heading.writer(&mut numbers).write_header_only()?;
        let mut labels = csv::Writer::from_writer(WholeFile::new(&places[1])?);
        labels.write_record(["id", "hash", if dataset.multi_label { "labels" } else { "label" }, "split"])?;
        Ok(Npy { numbers, labels, places, several: dataset.multi_label })
    }
}

impl Sink for Npy {
    fn write(&mut self, rows: &ExportedRows) -> Result<()> {
        // The wire has the numbers as the file does.
        self.numbers.write_all(&rows.embeddings)?;
        for example in &rows.examples {
            // A list in a cell is JSON: a label may hold whatever could separate them.
            let labels = match (self.several, &example.labels[..]) {
                (false, [label]) => label.clone(),
                (_, labels) => Value::from(labels).to_string(),
            };
            self.labels.write_record([&example.id, &example.hash, &labels, split_name(example.split())])?;
        }
        Ok(())
    }

    fn put(self: Box<Self>) -> Result<Vec<PathBuf>> {
        self.labels.into_inner().map_err(csv::IntoInnerError::into_error)?.put()?;
        self.numbers.put()?;
        Ok(self.places.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use graft_client::proto::{Split, StoredExample};

    use super::*;

    #[test]
    fn rows_are_numbers_and_lines() {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().join("pets.npy");
        let mut npy = Npy::new(&place, &ExportedDataset { row_count: 2, dimension: 2, ..Default::default() }).unwrap();
        let example = |id: &str, label: &str| StoredExample {
            id: id.into(),
            hash: "00".into(),
            labels: vec![label.into()],
            split: Split::Test as i32,
            ..Default::default()
        };
        let embeddings = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>().into();
        npy.write(&ExportedRows { examples: vec![example("1", "a,b"), example("2", "c")], embeddings }).unwrap();
        assert!(!place.exists());
        Box::new(npy).put().unwrap();
        let bytes = fs::read(&place).unwrap();
        let read = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(read.shape(), [2, 2]);
        assert_eq!(read.into_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        let table = fs::read_to_string(folder.path().join("pets.labels.csv")).unwrap();
        assert_eq!(table, "id,hash,label,split\n1,00,\"a,b\",test\n2,00,c,test\n");
    }

    #[test]
    fn a_list_in_a_cell_is_json_and_what_is_dropped_leaves_no_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().join("pets.npy");
        let dataset = ExportedDataset { row_count: 1, dimension: 1, multi_label: true, ..Default::default() };
        let begin = || {
            let mut npy = Npy::new(&place, &dataset).unwrap();
            let example = StoredExample { labels: vec!["a;b".into(), "c".into()], ..Default::default() };
            npy.write(&ExportedRows { examples: vec![example], embeddings: vec![0; 4].into() }).unwrap();
            Box::new(npy)
        };
        drop(begin());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        begin().put().unwrap();
        let table = fs::read_to_string(folder.path().join("pets.labels.csv")).unwrap();
        assert_eq!(table, "id,hash,labels,split\n,,\"[\"\"a;b\"\",\"\"c\"\"]\",train\n");
    }
}
