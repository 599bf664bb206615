//! The images of one request become embeddings, all or none: the protocol has no answer for a part of them.

use bytes::Bytes;
use futures::StreamExt;
use graft_chassis::status;
use graft_inference::pictures::refused;
use graft_proto::v1::{DType, EmbeddingBatch, extract_response::Message};
use tonic::Status;

use crate::{
    admission::Admission,
    answers::{AnswerStream, Answers},
    input::Input,
    rows::Rows,
};

/// Embed `images` and give their embeddings in their order: `[images, dimension]`, f32, little-endian.
///
/// Dropping the future, as happens when the caller goes away, drops what is not run yet; so does the first failure.
pub async fn embed(admission: &Admission, images: Vec<Input>) -> Result<Bytes, Status> {
    let count = images.len();
    let backbone = &admission.engine.description;
    let (answers, stream) = Answers::new(count, DType::F32);
    let mut known = Rows::default();
    for (index, input) in images.into_iter().enumerate() {
        // There is a ticket for each, and their ids differ.
        let ticket = answers.ticket(index.to_string()).await.map_err(|_| stopped())?;
        match admission.recall(ticket, &input).await {
            Ok(found) => found.into_iter().for_each(|(ticket, embedding)| known.push(ticket, &embedding)),
            Err(ticket) => {
                if !admission.enqueue(ticket, input).await {
                    return Err(stopped());
                }
            }
        }
    }
    known.send(&backbone.space);
    // From now on the jobs alone can answer: once they are gone, the stream ends.
    drop(answers);
    collect(stream, count, backbone.dimension as usize).await
}

/// Take the answers of `count` images, whose ids are their indices.
async fn collect(mut answers: AnswerStream, count: usize, dimension: usize) -> Result<Bytes, Status> {
    let row = dimension * size_of::<f32>();
    let mut embeddings = vec![0; count * row];
    let mut missing = count;
    while missing > 0 {
        let answer = answers.next().await.ok_or_else(stopped)??;
        match answer.message {
            Some(Message::Embeddings(batch)) => {
                place(&batch, row, &mut embeddings)?;
                missing = missing.saturating_sub(batch.ids.len());
            }
            Some(Message::Failure(failure)) => return Err(refused(&failure.id, &failure.error.unwrap_or_default())),
            Some(Message::Backbone(_)) | None => {}
        }
    }
    Ok(embeddings.into())
}

/// Put each row of a batch where its image's index says.
fn place(batch: &EmbeddingBatch, row: usize, embeddings: &mut [u8]) -> Result<(), Status> {
    if batch.data.len() != batch.ids.len() * row {
        return Err(status::internal(format!("{} bytes for {} embeddings", batch.data.len(), batch.ids.len())));
    }
    for (id, bytes) in batch.ids.iter().zip(batch.data.chunks_exact(row.max(1))) {
        let slot = id.parse().ok().and_then(|index: usize| embeddings.chunks_exact_mut(row.max(1)).nth(index));
        let slot = slot.ok_or_else(|| status::internal(format!("an embedding for image {id}, which is unknown")))?;
        slot.copy_from_slice(bytes);
    }
    Ok(())
}

fn stopped() -> Status {
    status::unavailable("the backbone was stopped; try again")
}

#[cfg(test)]
mod tests {
    use graft_proto::v1::ExtractResponse;
    use tonic::Code;

    use super::*;
    use crate::{batch::Refused, engine};

    fn batch(ids: &[&str], data: &'static [u8]) -> ExtractResponse {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let batch = EmbeddingBatch { ids, data: Bytes::from_static(data), ..Default::default() };
        ExtractResponse { message: Some(Message::Embeddings(batch)) }
    }

    #[tokio::test]
    async fn embeddings_stand_in_the_order_of_their_images() {
        let (answers, stream) = Answers::new(3, DType::F32);
        answers.send(Ok(batch(&["2", "0"], b"ccccaaaa")));
        answers.send(Ok(batch(&["1"], b"bbbb")));
        assert_eq!(collect(stream, 3, 1).await.unwrap(), "aaaabbbbcccc");
    }

    #[tokio::test]
    async fn a_refused_image_fails_the_request_and_is_named() {
        let (answers, stream) = Answers::new(2, DType::F32);
        answers.send(Ok(batch(&["0"], b"aaaa")));
        let ticket = answers.ticket("1".into()).await.unwrap();
        let other = answers.ticket("0".into()).await.unwrap();
        engine::refuse(Refused { ticket, status: status::invalid("image.encoded", "not a whole, valid PNG: short") });
        let status = collect(stream, 2, 1).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "inputs.image[1]: not a whole, valid PNG: short");
        assert!(other.abandoned(), "what is not run yet is dropped");
    }

    #[tokio::test]
    async fn an_image_that_is_late_ends_the_request_with_its_code() {
        let (answers, stream) = Answers::new(1, DType::F32);
        let ticket = answers.ticket("0".into()).await.unwrap();
        engine::refuse(Refused { ticket, status: status::too_late("the deadline passed") });
        assert_eq!(collect(stream, 1, 1).await.unwrap_err().code(), Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn jobs_that_vanish_end_the_request() {
        let (answers, stream) = Answers::new(1, DType::F32);
        drop(answers);
        assert_eq!(collect(stream, 1, 1).await.unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn an_answer_that_fits_nothing_is_our_fault() {
        for answer in [batch(&["1"], b"aaaa"), batch(&["x"], b"aaaa"), batch(&["0"], b"aaa")] {
            let (answers, stream) = Answers::new(1, DType::F32);
            answers.send(Ok(answer));
            assert_eq!(collect(stream, 1, 1).await.unwrap_err().code(), Code::Internal);
        }
    }
}
