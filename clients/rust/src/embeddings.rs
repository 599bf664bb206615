//! The embeddings of a dataset, with labels and splits.

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use graft_proto::v1::{
    ExportEmbeddingsRequest, ExportEmbeddingsResponse, ExportedDataset, ExportedRows, Split, StoredExample,
    export_embeddings_response::Message,
};
use tonic::Streaming;

use crate::{Error, Replies, Service, extract::singles};

/// A download of embeddings.
pub struct Download {
    /// What it is of, and how many rows follow.
    pub dataset: ExportedDataset,
    /// The rows, in the order in which they are kept. It is an error if they are fewer or more than was said.
    pub rows: Replies<Row>,
}

/// An example with its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The example, without its appearances.
    pub example: StoredExample,
    /// Its embedding, `[dimension]`.
    pub embedding: Vec<f32>,
}

/// Download the embeddings of a dataset: as it is now, or of a `snapshot` if that is not empty; of one split, unless that is
/// unspecified. In memory are those of one message at a time, at most 512.
///
/// It does not go on when the connection is lost: a dataset may be another one by then. Those of a snapshot stay the same,
/// and are downloaded again.
///
/// # Errors
/// The service's refusal, or [`Error::Unreachable`], here or later among the rows.
pub async fn embeddings(trainer: &Service, dataset: &str, snapshot: &str, split: Split) -> Result<Download, Error> {
    let (dataset, snapshot) = (dataset.to_owned(), snapshot.to_owned());
    let request = ExportEmbeddingsRequest { dataset, snapshot, split: split as i32 };
    let answer = trainer.datasets().export_embeddings(request).await;
    let mut inbound = answer.map_err(|status| trainer.error(status))?.into_inner();
    let first = inbound.message().await.map_err(|status| trainer.error(status))?;
    let Some(Message::Dataset(dataset)) = first.ok_or_else(|| trainer.incomplete())?.message else {
        return Err(trainer.malformed("the first message is not the dataset"));
    };
    let receiving = Receiving {
        trainer: trainer.clone(),
        inbound,
        dimension: dataset.dimension as usize,
        left: dataset.row_count,
        rows: VecDeque::new(),
    };
    let rows =
        stream::try_unfold(receiving, async |mut receiving| Ok(receiving.next().await?.map(|row| (row, receiving))));
    Ok(Download { dataset, rows: rows.boxed() })
}

struct Receiving {
    trainer: Service,
    inbound: Streaming<ExportEmbeddingsResponse>,
    dimension: usize,
    /// Rows that are still to come.
    left: u64,
    rows: VecDeque<Row>,
}

impl Receiving {
    async fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            match self.inbound.message().await.map_err(|status| self.trainer.error(status))? {
                Some(ExportEmbeddingsResponse { message: Some(Message::Rows(rows)) }) => {
                    let rows = apart(rows, self.dimension).map_err(|reason| self.trainer.malformed(reason))?;
                    let left = self.left.checked_sub(rows.len() as u64);
                    self.left = left.ok_or_else(|| self.trainer.malformed("more rows than were promised"))?;
                    self.rows = rows.into();
                }
                Some(_) => return Err(self.trainer.malformed("a message without rows")),
                None if self.left == 0 => return Ok(None),
                None => return Err(self.trainer.incomplete()),
            }
        }
    }
}

/// Each row of a message, or what is wrong with it.
fn apart(rows: ExportedRows, dimension: usize) -> Result<Vec<Row>, String> {
    let (bytes, count) = (rows.embeddings.len(), rows.examples.len());
    if dimension == 0 || bytes != count * dimension * 4 {
        return Err(format!("{bytes} bytes for {count} embeddings of {dimension} numbers"));
    }
    let embeddings = rows.embeddings.chunks_exact(dimension * 4).map(singles);
    Ok(rows.examples.into_iter().zip(embeddings).map(|(example, embedding)| Row { example, embedding }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_apart_and_must_fit() {
        let examples = ["a", "b"].map(|id| StoredExample { id: id.into(), ..StoredExample::default() }).to_vec();
        let numbers: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let rows = ExportedRows { examples, embeddings: numbers.into() };
        let found = apart(rows.clone(), 2).unwrap();
        assert_eq!((found[1].example.id.as_str(), found[1].embedding.as_slice()), ("b", [3.0, 4.0].as_slice()));
        assert!(apart(rows.clone(), 3).unwrap_err().contains("16 bytes for 2"));
        assert!(apart(rows, 0).is_err());
    }
}
