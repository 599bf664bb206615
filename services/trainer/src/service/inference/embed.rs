//! The images of one request become embeddings, all or none: the protocol has no answer for a part of them.

use std::time::{Duration, Instant};

use graft_chassis::status;
use graft_inference::pictures::refused;
use graft_proto::v1::{Image, Priority};
use tonic::Status;

use super::{inputs::Embeddings, model::Model};
use crate::embed::{Answer, Embedded, Extractor};

/// How long the images of one request may take if its caller named no deadline.
const ONE_REQUEST: Duration = Duration::from_secs(120);

/// Embed `images` for `model`, over one stream; their embeddings lie in their order.
///
/// Dropping the future, as happens when the caller goes away, drops what is not run yet; so does the first failure.
pub async fn embed(
    extractor: &Extractor,
    model: &Model,
    images: Vec<Image>,
    deadline: Option<Instant>,
) -> Result<Embeddings, Status> {
    let deadline = deadline.unwrap_or_else(|| Instant::now() + ONE_REQUEST);
    match tokio::time::timeout_at(deadline.into(), one_stream(extractor, model, images, deadline)).await {
        Ok(embedded) => embedded,
        Err(_) => Err(status::too_late("the deadline passed before the images were embedded")),
    }
}

async fn one_stream(
    extractor: &Extractor,
    model: &Model,
    images: Vec<Image>,
    deadline: Instant,
) -> Result<Embeddings, Status> {
    let rows = images.len();
    let (backbone, space, dimension) = (model.backbone(), model.space(), model.dimension());
    let mut stream = extractor.begin(backbone, space, None, Priority::Interactive, Some(deadline)).await?;
    for (index, image) in images.into_iter().enumerate() {
        stream.send(vec![(index.to_string(), image)]);
    }
    stream.end();
    let mut numbers = vec![0.0; rows * dimension];
    let mut missing = rows;
    while missing > 0 {
        match stream.next().await?.ok_or_else(|| extractor.ended_early())? {
            Answer::Embedded(found) => {
                missing = missing.saturating_sub(found.len());
                found.iter().try_for_each(|row| place(row, dimension, &mut numbers))?;
            }
            Answer::Refused(index, status) => return Err(refused(&index, &status::to_item_error(&status))),
        }
    }
    Ok(Embeddings { numbers, rows })
}

/// Put an embedding where its image's index says.
fn place(row: &Embedded, dimension: usize, numbers: &mut [f32]) -> Result<(), Status> {
    let slot = row.id.parse().ok().and_then(|index: usize| numbers.chunks_exact_mut(dimension.max(1)).nth(index));
    match slot {
        Some(slot) if slot.len() == row.numbers.len() => {
            slot.copy_from_slice(&row.numbers);
            Ok(())
        }
        _ => Err(status::internal(format!("an embedding of {} numbers for image {}", row.numbers.len(), row.id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_is_put_where_its_image_stands() {
        let mut numbers = vec![0.0; 4];
        let row = |id: &str, numbers: &[f32]| Embedded { id: id.into(), view: 0, numbers: numbers.to_vec() };
        place(&row("1", &[1.0, 2.0]), 2, &mut numbers).unwrap();
        assert_eq!(numbers, [0.0, 0.0, 1.0, 2.0]);
        for bad in [row("2", &[1.0, 2.0]), row("x", &[1.0, 2.0]), row("0", &[1.0]), row("", &[])] {
            assert!(place(&bad, 2, &mut numbers).is_err(), "{bad:?}");
        }
    }
}
