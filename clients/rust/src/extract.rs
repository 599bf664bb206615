//! A stream of images in, embeddings out.

use futures::Stream;
use graft_proto::v1::{
    Backbone, DType, EmbeddingBatch, ExtractItem, ExtractItems, ExtractOptions, ExtractRequest, ExtractResponse,
    ItemError, extract_request::Message, extract_response,
};
use half::f16;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    Error, Service,
    stream::{Exchange, Parts, Replies, exchange},
};

/// A stream of embeddings.
pub struct Extraction {
    /// The backbone that answers; all embeddings are of its space.
    pub backbone: Backbone,
    /// What came of each image.
    pub embeddings: Replies<Extracted>,
}

/// What came of one image, or of one view of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The caller's id.
    pub id: String,
    /// The view: 0 for the image itself, 1 on for those that the options' augmentation asks for.
    pub view: u32,
    /// The embedding, `[dimension]`, or what was wrong with the image.
    pub result: Result<Vec<f32>, ItemError>,
}

/// Embed the images of `items`, whose ids are unique among those that are not answered yet. Every item has its reply, or one
/// for each of its views, in any order. No more is read from `items` than the service takes. Embeddings that travel as f16 are
/// widened here. If the connection is lost, what has no reply is sent again: an image has the same embedding every time.
///
/// # Errors
/// The service's refusal of the whole, or [`Error::Unreachable`], here or later among the replies.
pub async fn extract(
    extractor: &Service,
    options: ExtractOptions,
    items: impl Stream<Item = ExtractItem> + Send + 'static,
) -> Result<Extraction, Error> {
    let (backbone, embeddings) = exchange(extractor, Embeddings { options, dimension: 0 }, items).await?;
    Ok(Extraction { backbone, embeddings })
}

fn request(message: Message) -> ExtractRequest {
    ExtractRequest { message: Some(message) }
}

/// The exchange. Once it has begun, the options name the space that all embeddings are of.
struct Embeddings {
    options: ExtractOptions,
    dimension: usize,
}

impl Exchange for Embeddings {
    type Item = ExtractItem;
    type Request = ExtractRequest;
    type Response = ExtractResponse;
    type Reply = Extracted;
    type Opened = Backbone;
    const MOST: usize = 64;

    fn first(&self) -> ExtractRequest {
        request(Message::Options(self.options.clone()))
    }

    fn wrap(items: Vec<ExtractItem>) -> ExtractRequest {
        request(Message::Items(ExtractItems { items }))
    }

    fn parts(&self) -> Parts<ExtractItem> {
        let views = self.options.augmentation.as_ref().map_or(0, |augmentation| augmentation.views.min(16));
        Box::new(move |item| if item.without_views { 1 } else { 1 + views })
    }

    async fn open(
        &mut self,
        extractor: &Service,
        messages: ReceiverStream<ExtractRequest>,
    ) -> Result<(Backbone, Streaming<ExtractResponse>), Error> {
        let answer = extractor.backbones().extract(messages).await;
        let mut inbound = answer.map_err(|status| extractor.error(status))?.into_inner();
        let first = inbound.message().await.map_err(|status| extractor.error(status))?;
        let backbone = match first.ok_or_else(|| extractor.incomplete())?.message {
            Some(extract_response::Message::Backbone(backbone)) => backbone,
            _ => return Err(extractor.malformed("the first message is not the backbone")),
        };
        self.options.space.clone_from(&backbone.space);
        self.dimension = backbone.dimension as usize;
        Ok((backbone, inbound))
    }

    fn read(&self, extractor: &Service, message: ExtractResponse) -> Result<Vec<Extracted>, Error> {
        match message.message {
            Some(extract_response::Message::Embeddings(batch)) => {
                self.rows(&batch).map_err(|reason| extractor.malformed(reason))
            }
            Some(extract_response::Message::Failure(failure)) => {
                Ok(vec![Embeddings::refuse(failure.id, failure.error.unwrap_or_default())])
            }
            Some(extract_response::Message::Backbone(_)) => Err(extractor.malformed("a second backbone")),
            None => Err(extractor.malformed("an empty message")),
        }
    }

    fn answers(reply: &Extracted) -> (&str, Option<u32>) {
        (&reply.id, reply.result.is_ok().then_some(reply.view))
    }

    fn refuse(id: String, error: ItemError) -> Extracted {
        Extracted { id, view: 0, result: Err(error) }
    }
}

impl Embeddings {
    /// The rows of a batch, each of `dimension` numbers; or what is wrong with it.
    fn rows(&self, batch: &EmbeddingBatch) -> Result<Vec<Extracted>, String> {
        if batch.space != self.options.space {
            return Err(format!("embeddings of {} where {} was promised", batch.space, self.options.space));
        }
        let width = match batch.dtype() {
            DType::Unspecified | DType::F32 => 4,
            DType::F16 => 2,
        };
        let (row, ids) = (self.dimension * width, batch.ids.len());
        if self.dimension == 0 || batch.dimension as usize != self.dimension || batch.data.len() != ids * row {
            return Err(format!("{} bytes for {ids} embeddings of {} numbers", batch.data.len(), self.dimension));
        }
        if !batch.views.is_empty() && batch.views.len() != ids {
            return Err(format!("{} views for {ids} embeddings", batch.views.len()));
        }
        let decode = if width == 2 { halves } else { singles };
        let views = batch.views.iter().copied().chain(std::iter::repeat(0));
        let rows = batch.ids.iter().zip(views).zip(batch.data.chunks_exact(row).map(decode));
        Ok(rows.map(|((id, view), row)| Extracted { id: id.clone(), view, result: Ok(row) }).collect())
    }
}

/// Little-endian IEEE 754 single precision.
pub(crate) fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

/// Little-endian IEEE 754 half precision.
fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(batch: EmbeddingBatch) -> Result<Vec<Extracted>, String> {
        let options = ExtractOptions { space: "net@1".into(), ..ExtractOptions::default() };
        Embeddings { options, dimension: 2 }.rows(&batch)
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
            assert_eq!(rows[0], Extracted { id: "a".into(), view: 0, result: Ok(vec![1.0, -2.0]) });
            assert_eq!(rows[1], Extracted { id: "b".into(), view: 0, result: Ok(vec![0.5, 4.0]) });
        }
    }

    #[test]
    fn a_batch_of_another_shape_or_space_is_not_used() {
        assert!(read(batch(DType::F32, &["a", "b"], vec![0; 15])).unwrap_err().contains("15 bytes"));
        let other = EmbeddingBatch { space: "net@2".into(), ..batch(DType::F32, &["a"], vec![0; 8]) };
        let message = read(other).unwrap_err();
        assert!(message.contains("net@1") && message.contains("net@2"), "{message}");
        let wider = EmbeddingBatch { dimension: 4, ..batch(DType::F32, &["a"], vec![0; 16]) };
        assert!(read(wider).is_err());
    }
    #[test]
    fn views_are_told_apart_and_all_are_waited_for() {
        let views = EmbeddingBatch { views: vec![0, 2], ..batch(DType::F32, &["a", "a"], vec![0; 16]) };
        assert_eq!(read(views.clone()).unwrap().iter().map(|row| row.view).collect::<Vec<_>>(), [0, 2]);
        assert!(read(EmbeddingBatch { views: vec![1], ..views }).unwrap_err().contains("1 views for 2"));
        let augmentation = Some(graft_proto::v1::Augmentation { views: 3, ..Default::default() });
        let options = ExtractOptions { augmentation, ..ExtractOptions::default() };
        let parts = Embeddings { options, dimension: 2 }.parts();
        assert_eq!(parts(&ExtractItem::default()), 4);
        assert_eq!(parts(&ExtractItem { without_views: true, ..ExtractItem::default() }), 1);
    }
}
