//! Embeddings as the wire has them: many rows of one stream in one message.

use bytes::Bytes;
use graft_proto::v1::{DType, EmbeddingBatch, ExtractResponse, extract_response::Message};

use crate::answers::Ticket;

/// Bytes of rows in one message, after which the next is begun: well below what a message may have.
const FULL_BYTES: usize = 1 << 20;

/// Embeddings of one stream's images, on their way into one message.
#[derive(Debug, Default)]
pub struct Rows {
    /// Whose they are, in their order.
    tickets: Vec<Ticket>,
    /// The numbers, packed.
    data: Vec<u8>,
    /// Numbers in one embedding.
    dimension: usize,
}

impl Rows {
    /// Add the embedding of `ticket`'s image.
    pub fn push(&mut self, ticket: Ticket, embedding: &[f32]) {
        write(embedding, ticket.dtype(), &mut self.data);
        self.dimension = embedding.len();
        self.tickets.push(ticket);
    }

    /// Whether there are enough for a message.
    pub fn is_full(&self) -> bool {
        self.data.len() >= FULL_BYTES
    }

    /// Whether `ticket` is of the stream that these rows go to.
    pub fn takes(&self, ticket: &Ticket) -> bool {
        self.tickets.last().is_none_or(|last| last.same_stream(ticket))
    }

    /// Send them, embeddings of `space`, to their stream, and be empty. Nothing is sent if there are none.
    pub fn send(&mut self, space: &str) {
        let Rows { tickets, data, dimension } = std::mem::take(self);
        let Some(first) = tickets.first() else { return };
        let (answers, dtype) = (first.answers().clone(), first.dtype());
        let batch = EmbeddingBatch {
            space: space.to_owned(),
            dtype: dtype as i32,
            dimension: dimension as u32,
            ids: tickets.iter().map(|ticket| ticket.id().to_owned()).collect(),
            data: Bytes::from(data),
            views: views(&tickets),
        };
        answers.settle(ExtractResponse { message: Some(Message::Embeddings(batch)) }, tickets);
    }
}

/// The view of each row; nothing where all are of plain images.
fn views(tickets: &[Ticket]) -> Vec<u32> {
    if tickets.iter().all(|ticket| ticket.view == 0) {
        return Vec::new();
    }
    tickets.iter().map(|ticket| ticket.view).collect()
}

/// Write an embedding as the wire has it: packed, little-endian.
fn write(row: &[f32], dtype: DType, data: &mut Vec<u8>) {
    match dtype {
        DType::F16 => data.extend(row.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes())),
        DType::F32 | DType::Unspecified => data.extend(row.iter().flat_map(|value| value.to_le_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::answers::Answers;

    #[tokio::test]
    async fn rows_of_one_stream_share_a_message_as_its_caller_wants_them() {
        let (answers, mut stream) = Answers::new(8, DType::F16);
        let (others, _other_stream) = Answers::new(8, DType::F32);
        let mut rows = Rows::default();
        rows.send("net@1");
        let foreign = others.ticket("a".into()).await.unwrap();
        assert!(rows.takes(&foreign), "it is anyone's as long as it is empty");
        rows.push(answers.ticket("a".into()).await.unwrap(), &[1.0, 2.0]);
        assert!(!rows.takes(&foreign));
        rows.push(answers.ticket("b".into()).await.unwrap(), &[-2.0, 0.0]);
        rows.send("net@1");
        let Some(Message::Embeddings(batch)) = stream.next().await.unwrap().unwrap().message else { panic!() };
        assert_eq!((batch.ids.join(" ").as_str(), batch.dimension, batch.dtype()), ("a b", 2, DType::F16));
        assert_eq!(batch.data[..], [0, 0x3c, 0, 0x40, 0, 0xc0, 0, 0]);
        assert!(answers.has_ticket() && rows.takes(&foreign), "and it is empty again");
    }
}
