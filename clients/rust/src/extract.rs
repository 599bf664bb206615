//! A stream of images in, embeddings out.

use futures::Stream;
use graft_proto::v1::{
    Backbone, DType, EmbeddingBatch, ExtractItem, ExtractItems, ExtractOptions, ExtractRequest, ExtractResponse,
    ItemError, extract_request::Message, extract_response,
};
use half::f16;

use crate::{
    Error, Service,
    outbound::{CHUNK, send},
    replies::{Read, Replies, replies},
};

/// A stream of embeddings.
pub struct Extraction {
    /// The backbone that answers; all embeddings are of its space.
    pub backbone: Backbone,
    /// What came of each image.
    pub embeddings: Replies<Extracted>,
}

/// What came of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The caller's id.
    pub id: String,
    /// The embedding, `[dimension]`, or what was wrong with the image.
    pub result: Result<Vec<f32>, ItemError>,
}

/// Embed the images of `items`, whose ids are unique among those that are not answered yet. Every item has its reply, in any
/// order. No more is read from `items` than the service takes. Embeddings that travel as f16 are widened here.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the replies.
pub async fn extract(
    extractor: &Service,
    options: ExtractOptions,
    items: impl Stream<Item = ExtractItem> + Send + 'static,
) -> Result<Extraction, Error> {
    let options = request(Message::Options(options));
    let wrap = |items| request(Message::Items(ExtractItems { items }));
    let (messages, sending) = send(options, items, CHUNK, wrap);
    let answer = extractor.backbones().extract(messages).await;
    let mut inbound = answer.map_err(|status| extractor.error(status))?.into_inner();
    let first = inbound.message().await.map_err(|status| extractor.error(status))?;
    let backbone = match first.ok_or_else(|| extractor.incomplete())?.message {
        Some(extract_response::Message::Backbone(backbone)) => backbone,
        _ => return Err(malformed("the first message is not the backbone")),
    };
    let reader = Embeddings { space: backbone.space.clone(), dimension: backbone.dimension as usize };
    Ok(Extraction { backbone, embeddings: replies(extractor, inbound, sending, reader) })
}

fn request(message: Message) -> ExtractRequest {
    ExtractRequest { message: Some(message) }
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::Malformed { service: "extractor", reason: reason.into() }
}

struct Embeddings {
    space: String,
    dimension: usize,
}

impl Read for Embeddings {
    type Message = ExtractResponse;
    type Reply = Extracted;

    fn read(&mut self, message: ExtractResponse) -> Result<Vec<Extracted>, Error> {
        match message.message {
            Some(extract_response::Message::Embeddings(batch)) => self.rows(batch),
            Some(extract_response::Message::Failure(failure)) => {
                Ok(vec![self.refuse(failure.id, failure.error.unwrap_or_default())])
            }
            Some(extract_response::Message::Backbone(_)) => Err(malformed("a second backbone")),
            None => Err(malformed("an empty message")),
        }
    }

    fn refuse(&self, id: String, error: ItemError) -> Extracted {
        Extracted { id, result: Err(error) }
    }
}

impl Embeddings {
    /// The rows of a batch, each of `dimension` numbers.
    fn rows(&self, batch: EmbeddingBatch) -> Result<Vec<Extracted>, Error> {
        if batch.space != self.space {
            return Err(malformed(format!("embeddings of {} where {} was promised", batch.space, self.space)));
        }
        let width = match batch.dtype() {
            DType::Unspecified | DType::F32 => 4,
            DType::F16 => 2,
        };
        let row = self.dimension * width;
        if self.dimension == 0
            || batch.dimension as usize != self.dimension
            || batch.data.len() != batch.ids.len() * row
        {
            let (ids, bytes) = (batch.ids.len(), batch.data.len());
            let reason = format!("{bytes} bytes for {ids} embeddings of {} numbers", self.dimension);
            return Err(malformed(reason));
        }
        let decode = if width == 2 { halves } else { singles };
        let rows = batch.data.chunks_exact(row).map(decode);
        Ok(batch.ids.iter().zip(rows).map(|(id, row)| Extracted { id: id.clone(), result: Ok(row) }).collect())
    }
}

/// Little-endian IEEE 754 single precision.
fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

/// Little-endian IEEE 754 half precision.
fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(batch: EmbeddingBatch) -> Result<Vec<Extracted>, Error> {
        Embeddings { space: "net@1".into(), dimension: 2 }
            .read(ExtractResponse { message: Some(extract_response::Message::Embeddings(batch)) })
    }

    fn batch(dtype: DType, ids: &[&str], data: Vec<u8>) -> EmbeddingBatch {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let (space, dtype) = ("net@1".into(), dtype as i32);
        EmbeddingBatch { space, dtype, dimension: 2, ids, data: data.into(), views: Vec::new() }
    }

    #[test]
    fn rows_are_taken_apart_in_both_precisions() {
        let numbers = [1.0, -2.0, 0.5, 4.0];
        let wide = numbers.iter().flat_map(|number: &f32| number.to_le_bytes()).collect();
        let narrow = numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect();
        for batch in [batch(DType::F32, &["a", "b"], wide), batch(DType::F16, &["a", "b"], narrow)] {
            let rows = read(batch).unwrap();
            assert_eq!(rows[0], Extracted { id: "a".into(), result: Ok(vec![1.0, -2.0]) });
            assert_eq!(rows[1], Extracted { id: "b".into(), result: Ok(vec![0.5, 4.0]) });
        }
    }

    #[test]
    fn a_batch_of_another_shape_or_space_is_not_used() {
        assert!(read(batch(DType::F32, &["a", "b"], vec![0; 15])).unwrap_err().to_string().contains("15 bytes"));
        let other = EmbeddingBatch { space: "net@2".into(), ..batch(DType::F32, &["a"], vec![0; 8]) };
        let message = read(other).unwrap_err().to_string();
        assert!(message.contains("net@1") && message.contains("net@2"), "{message}");
        let wider = EmbeddingBatch { dimension: 4, ..batch(DType::F32, &["a"], vec![0; 16]) };
        assert!(read(wider).is_err());
    }
}
